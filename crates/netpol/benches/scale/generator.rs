//! Made-up manifests of any size. Always the same for the same numbers.

use std::fmt::Write as _;

use netpol::SourceFile;

/// A repository: a file each for a Deployment, a CronJob, a Service or a NetworkPolicy, in turn.
pub fn repository(count: usize) -> Vec<SourceFile> {
    (0..count)
        .map(|index| {
            let app = index / 4;
            let namespace = format!("team-{}", app % 20);
            let text = match index % 4 {
                0 => deployment(app, &namespace),
                1 => cron_job(app, &namespace),
                2 => service(app, &namespace),
                _ => policy(app, &namespace),
            };
            SourceFile::new(format!("k8s/{index}.yaml"), text)
        })
        .collect()
}

fn deployment(app: usize, namespace: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: app-{app}\n  namespace: {namespace}\n  labels:\n    \
         app: app-{app}\n    tier: backend\nspec:\n  replicas: 2\n  selector:\n    matchLabels:\n      app: app-{app}\n  \
         template:\n    metadata:\n      labels:\n        app: app-{app}\n        tier: backend\n        version: \
         v1.{app}\n    spec:\n{}",
        containers(app, "      ")
    )
}

fn cron_job(app: usize, namespace: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata:\n  name: job-{app}\n  namespace: {namespace}\nspec:\n  schedule: \
         \"5 2 * * *\"\n  concurrencyPolicy: Forbid\n  jobTemplate:\n    spec:\n      backoffLimit: 2\n      template:\n        \
         metadata:\n          labels:\n            app: job-{app}\n            tier: batch\n        spec:\n          \
         restartPolicy: OnFailure\n{}",
        containers(app, "          ")
    )
}

fn containers(app: usize, indent: &str) -> String {
    let mut text = format!(
        "{indent}containers:\n{indent}- name: main\n{indent}  image: registry.example.com/app:{app}\n"
    );
    let _ = write!(
        text,
        "{indent}  ports:\n{indent}  - name: http\n{indent}    containerPort: 8080\n{indent}  env:\n"
    );
    for (name, value) in [
        ("MYSQL_URI", format!("mysql://app-{}.team-{}.svc:3306/db", (app + 1) % 250, (app + 1) % 20)),
        ("NATS_URL", "nats://nats.messaging.svc.cluster.local:4222".to_owned()),
        ("API_URL", "https://fapi.binance.com".to_owned()),
        ("LOG_LEVEL", "INFO".to_owned()),
    ] {
        let _ = write!(text, "{indent}  - name: {name}\n{indent}    value: \"{value}\"\n");
    }
    let _ = write!(
        text,
        "{indent}  - name: TOKEN\n{indent}    valueFrom:\n{indent}      secretKeyRef:\n{indent}        name: \
         secret-{app}\n{indent}        key: token\n{indent}  resources:\n{indent}    limits:\n{indent}      memory: \
         128Mi\n{indent}      cpu: 500m\n{indent}    requests:\n{indent}      memory: 64Mi\n"
    );
    text
}

fn service(app: usize, namespace: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: app-{app}\n  namespace: {namespace}\nspec:\n  selector:\n    \
         app: app-{app}\n  ports:\n  - name: http\n    port: 80\n    targetPort: http\n"
    )
}

fn policy(app: usize, namespace: &str) -> String {
    let caller = (app + 230) % 250;
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: app-{app}\n  namespace: \
         {namespace}\nspec:\n  podSelector:\n    matchLabels:\n      app: app-{app}\n  policyTypes:\n  - Ingress\n  - \
         Egress\n  ingress:\n  - from:\n    - podSelector:\n        matchLabels:\n          app: app-{caller}\n    - \
         namespaceSelector:\n        matchLabels:\n          kubernetes.io/metadata.name: ingress-nginx\n    ports:\n    - \
         port: http\n  egress:\n  - to:\n    - namespaceSelector:\n        matchLabels:\n          \
         kubernetes.io/metadata.name: kube-system\n      podSelector:\n        matchLabels:\n          k8s-app: \
         kube-dns\n    ports:\n    - port: 53\n      protocol: UDP\n    - port: 53\n      protocol: TCP\n  - to:\n    - \
         ipBlock:\n        cidr: 0.0.0.0/0\n        except:\n        - 169.254.169.254/32\n    ports:\n    - port: 443\n"
    )
}

/// A cluster: namespaces of 100 pods, half of them replicas, each pod with a label of its own; policies that
/// select by app, team, tier and address, and a default-deny in every second namespace.
pub fn cluster(pods: usize, policies: usize) -> SourceFile {
    let namespaces = pods.div_ceil(100);
    let mut text = String::new();
    for index in 0..namespaces {
        let _ = writeln!(
            text,
            "---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: ns-{index}\n  labels:\n    team: team-{}",
            index % 10
        );
    }
    for index in 0..pods {
        let (namespace, app) = (index / 100, index / 2 % 50);
        let _ = writeln!(
            text,
            "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: pod-{index}\n  namespace: ns-{namespace}\n  labels:\n    app: \
             app-{app}\n    tier: tier-{}\n    statefulset.kubernetes.io/pod-name: pod-{index}\nspec:\n  containers:\n  - \
             name: main\n    ports:\n    - name: http\n      containerPort: {}\nstatus:\n  podIP: 10.{}.{}.{}",
            app % 3,
            8000 + app % 7,
            index / 65_000,
            index / 250 % 260,
            index % 250 + 1
        );
    }
    for index in 0..policies {
        cluster_policy(&mut text, index, namespaces);
    }
    SourceFile::new("cluster.yaml", text)
}

fn cluster_policy(text: &mut String, index: usize, namespaces: usize) {
    let (namespace, turn) = (index % namespaces, index / namespaces);
    let _ = writeln!(
        text,
        "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: policy-{index}\n  namespace: \
         ns-{namespace}\nspec:"
    );
    if turn == 0 && namespace.is_multiple_of(2) {
        let _ = writeln!(text, "  podSelector: {{}}\n  policyTypes: [Ingress, Egress]");
        return;
    }
    let app = turn % 50;
    // Each app calls one other app of its namespace, and 43 undoes the 7: it is called by one, too.
    let other = (app * 7 + 3) % 50;
    let caller = (app + 47) * 43 % 50;
    let _ = writeln!(
        text,
        "  podSelector:\n    matchLabels:\n      app: app-{app}\n  policyTypes: [Ingress, Egress]\n  ingress:\n  - from:\n    - \
         podSelector:\n        matchLabels:\n          app: app-{caller}\n    ports:\n    - port: http\n  - from:\n    - \
         namespaceSelector:\n        matchLabels:\n          team: team-{}\n      podSelector:\n        matchExpressions:\n        \
         - key: tier\n          operator: In\n          values: [tier-0, tier-{}]\n    ports:\n    - port: 9090\n      \
         endPort: 9100\n  egress:\n  - to:\n    - podSelector:\n        matchLabels:\n          app: app-{other}\n    - \
         ipBlock:\n        cidr: 52.{}.0.0/16\n        except: [52.{}.8.0/24]\n    ports:\n    - port: 443\n    - port: http\n  \
         - ports:\n    - port: 53\n      protocol: UDP\n    - port: 9090",
        index % 10,
        index % 3,
        index % 250,
        index % 250
    );
}
