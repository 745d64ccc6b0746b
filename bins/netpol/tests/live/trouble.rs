//! Servers and configurations that do not work: each ends with exit code 2 and clear words.

use std::fs;

use cluster::{Cluster, Source};

use crate::objects::incident;
use crate::run::{Ran, command, netpol, stable};
use crate::server::{Api, Moods, TOKEN};

fn start() -> Api {
    Api::start(incident(), Moods::default())
}

fn with_config(api: &Api, name: &str) -> Ran {
    netpol(api, &["status", "--kubeconfig", &api.file(name).display().to_string()])
}

#[test]
fn a_token_that_is_not_accepted() {
    let api = start();
    api.write_kubeconfig("bad", "an-old-token", "authority.pem");
    let ran = with_config(&api, "bad");
    assert_eq!(ran.code, 2);
    assert!(!ran.all().contains("an-old-token"));
    insta::assert_snapshot!(ran.err);
}

#[test]
fn a_certificate_that_is_not_trusted() {
    let api = start();
    api.write_kubeconfig("bad", TOKEN, "other.pem");
    let ran = with_config(&api, "bad");
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(ran.err);
}

#[test]
fn a_server_that_is_away() {
    let api = start();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let text = fs::read_to_string(api.file("config"))
        .unwrap()
        .replace(&format!("127.0.0.1:{}", api.port()), &address);
    fs::write(api.file("bad"), text).unwrap();
    let ran = with_config(&api, "bad");
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(ran.err.replace(&address, "AWAY"));
}

#[test]
fn a_server_whose_name_does_not_resolve() {
    let api = start();
    let address = format!("127.0.0.1:{}", api.port());
    let text = fs::read_to_string(api.file("config")).unwrap().replace(&address, "api.cluster.invalid:6443");
    fs::write(api.file("bad"), text).unwrap();
    let ran = with_config(&api, "bad");
    assert_eq!(ran.code, 2);
    assert!(
        ran.err
            .starts_with("error: cannot resolve the name of the API server https://api.cluster.invalid:6443"),
        "{}",
        ran.err
    );
}

#[test]
fn something_else_than_an_api_server() {
    let api = Api::start(Vec::new(), Moods { html: true, ..Moods::default() });
    let ran = netpol(&api, &["status"]);
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(ran.err);
}

#[test]
fn a_server_with_a_bad_moment_is_asked_again() {
    let api = Api::start(incident(), Moods { unavailable: 2, ..Moods::default() });
    let ran = netpol(&api, &["audit", "--fail-on", "never"]);
    assert_eq!(ran.code, 0, "{}", ran.all());
}

#[test]
fn a_server_that_stays_unavailable() {
    let api = Api::start(incident(), Moods { unavailable: 1000, ..Moods::default() });
    let ran = netpol(&api, &["status"]);
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(ran.err);
}

#[test]
fn a_login_helper_that_is_not_installed() {
    let api = start();
    let text = fs::read_to_string(api.file("config")).unwrap();
    let helper =
        r#"{"exec":{"apiVersion":"client.authentication.k8s.io/v1","command":"no-such-login-helper"}}"#;
    let text = text.replace(&format!(r#"{{"token":"{TOKEN}"}}"#), helper);
    assert!(text.contains("no-such-login-helper"), "{text}");
    fs::write(api.file("bad"), text).unwrap();
    let ran = with_config(&api, "bad");
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(ran.err);
}

#[test]
fn a_login_helper_gives_the_token() {
    let api = start();
    let helper = api.file("helper.sh");
    let credential = r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"TOKEN"}}"#;
    fs::write(&helper, format!("echo '{}'\n", credential.replace("TOKEN", TOKEN))).unwrap();
    let text = fs::read_to_string(api.file("config")).unwrap();
    let exec = format!(
        r#"{{"exec":{{"apiVersion":"client.authentication.k8s.io/v1","command":"sh","args":["{}"],"interactiveMode":"Never"}}}}"#,
        helper.display()
    );
    fs::write(api.file("good"), text.replace(&format!(r#"{{"token":"{TOKEN}"}}"#), &exec)).unwrap();
    let ran = netpol(
        &api,
        &["audit", "--fail-on", "never", "--kubeconfig", &api.file("good").display().to_string()],
    );
    assert_eq!(ran.code, 0, "{}", ran.all());
}

#[test]
fn a_proxy_is_used() {
    let api = start();
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let (stream, _) = proxy.accept().unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stream), &mut line).unwrap();
        line
    });
    let output = command(&api, &["status"]).env("HTTPS_PROXY", address).env("NO_PROXY", "").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(asked.join().unwrap(), format!("CONNECT 127.0.0.1:{} HTTP/1.1\r\n", api.port()));
}

#[test]
fn a_right_that_is_missing() {
    let forbidden = ["list cronjobs"].map(str::to_owned).into();
    let api = Api::start(incident(), Moods { forbidden, ..Moods::default() });
    let ran = netpol(&api, &["status"]);
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(ran.err);
}

#[test]
fn a_context_that_does_not_exist() {
    let ran = netpol(&start(), &["status", "--context", "prod"]);
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(ran.err);
}

#[test]
fn no_kubeconfig_and_no_pod() {
    let api = start();
    let output = command(&api, &["status"]).env_remove("KUBECONFIG").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!(stable(&String::from_utf8(output.stderr).unwrap(), &api));
}

#[test]
fn a_kubeconfig_that_is_none() {
    let api = start();
    fs::write(api.file("bad"), "apiVersion: v1\nclusters: {oops\n").unwrap();
    let ran = with_config(&api, "bad");
    assert_eq!(ran.code, 2);
    assert!(ran.err.starts_with("error: cannot read the kubeconfig FOLDER/bad: "), "{}", ran.err);
}

#[test]
fn kubeconfigs_are_merged_in_the_order_of_the_variable() {
    let api = start();
    fs::write(api.file("first"), r#"{"apiVersion":"v1","kind":"Config","current-context":"test"}"#).unwrap();
    let list = format!("{}:{}", api.file("first").display(), api.file("config").display());
    let output = command(&api, &["audit", "--fail-on", "never"]).env("KUBECONFIG", list).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The service account of a pod, as Kubernetes mounts it.
fn account(api: &Api) -> Source {
    Source::Pod { host: "127.0.0.1".to_owned(), port: api.port(), account: api.file("account") }
}

fn first_list(api: &Api) -> Result<usize, cluster::ClusterError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let cluster = Cluster::connect(&account(api)).await?;
        assert_eq!(cluster.namespace, "apps");
        Ok(cluster.list(&cluster::CRON_JOBS, cluster::Select::default()).await?.items.len())
    })
}

#[test]
fn in_a_pod_the_service_account_is_used() {
    assert_eq!(first_list(&start()).unwrap(), 2);
}

#[test]
fn in_a_pod_an_expired_token_is_told() {
    let api = start();
    fs::write(api.file("account/token"), "expired").unwrap();
    let error = first_list(&api).unwrap_err();
    assert_eq!(error.kind, cluster::ErrorKind::Credentials);
    insta::assert_snapshot!(stable(&format!("{error}\n{}", error.hint.as_ref().unwrap()), &api));
}

#[test]
fn in_a_pod_without_a_mounted_account_that_is_told() {
    let api = start();
    fs::remove_file(api.file("account/token")).unwrap();
    let error = first_list(&api).unwrap_err();
    insta::assert_snapshot!(stable(&format!("{error}\n{}", error.hint.as_ref().unwrap()), &api));
}
