//! Proposals for live objects: they have no file, so the way to a fix is through a copy of them.

use netpol::findings::Finding;

/// The command that proposes policies for what is in a namespace, or in all.
#[must_use]
pub fn fix_command(namespace: Option<&str>) -> String {
    let scope = namespace.map_or("-A".to_owned(), |name| format!("-n {name}"));
    format!(
        "kubectl get cronjobs,jobs,deployments,statefulsets,daemonsets,services,configmaps,networkpolicies {scope} -o yaml | netpol \
         fix -"
    )
}

/// Lets the proposals write to files of the working folder, not beside objects of the cluster.
pub fn write_here(findings: &mut [Finding]) {
    const WRITE: &str = " --write ";
    for fix in findings.iter_mut().filter_map(|finding| finding.fix.as_mut()) {
        let Some((command, path)) = fix.split_once(WRITE) else { continue };
        if let (true, Some((_, file))) = (path.starts_with("cluster/"), path.rsplit_once('/')) {
            *fix = format!("{command}{WRITE}{file}");
        }
    }
}
