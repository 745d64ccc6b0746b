//! Manifests for the tests.

use std::fs;
use std::path::PathBuf;

use netpol::{Input, SourceFile};

/// A namespace under default-deny with a CronJob that no other policy selects, and one that is selected.
pub const JOBS: &str = r#"apiVersion: batch/v1
kind: CronJob
metadata:
  name: filler
  namespace: apps
spec:
  jobTemplate:
    spec:
      template:
        metadata:
          labels:
            app: extractor
            component: filler # the odd one
        spec:
          containers:
          - name: c
            env:
            - name: API_URL
              value: https://api.example.com
            - name: MYSQL_URI
              value: mysql://db.data.svc.cluster.local:3306/klines
---
apiVersion: batch/v1
kind: CronJob
metadata:
  name: loader
  namespace: apps
spec:
  jobTemplate:
    spec:
      template:
        metadata:
          labels:
            app: extractor
            component: loader
        spec:
          containers:
          - name: c
            env:
            - name: API_URL
              value: https://api.example.com
"#;

/// The policies of that namespace.
pub const POLICIES: &str = r#"apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: default-deny
  namespace: apps
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
---
# Loads.
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: allow-loader
  namespace: apps
spec:
  podSelector:
    matchLabels:
      app: extractor   # ours
      component: loader
  policyTypes: [Egress]
  egress:
  - ports: # names
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
  - to:
    - ipBlock: {cidr: 0.0.0.0/0}
    ports:
    - port: 443
"#;

/// A database with a Service whose port is not the pod's.
pub const DATABASE: &str = r#"apiVersion: v1
kind: Service
metadata: {name: db, namespace: data}
spec:
  selector: {app: db}
  ports:
  - {port: 3306, targetPort: sql}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: data}
spec:
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers:
      - name: db
        ports:
        - {name: sql, containerPort: 13306}
"#;

pub fn files(texts: &[(&str, &str)]) -> Vec<SourceFile> {
    texts.iter().map(|(name, text)| SourceFile::new(*name, *text)).collect()
}

pub fn cluster() -> Vec<SourceFile> {
    files(&[("jobs.yaml", JOBS), ("policies.yaml", POLICIES), ("database.yaml", DATABASE)])
}

pub fn input(files: &[SourceFile]) -> Input {
    let input = Input::parse(files.iter().cloned());
    assert!(input.problems.is_empty(), "{:?}", input.problems);
    input
}

/// Files of the incident; `None`, with a message, where they are not.
pub fn incident(folders: &[&str]) -> Option<Vec<SourceFile>> {
    let shared = std::env::var_os("BINANCE_EXTRACTOR_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    if !shared.is_dir() {
        println!("skipped: incident (../shared not found)");
        return None;
    }
    let mut files = Vec::new();
    for folder in folders {
        let folder = shared.join("incident").join(folder);
        let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths.iter().filter(|path| path.extension().is_some_and(|end| end == "yaml")) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            files.push(SourceFile::new(name, fs::read_to_string(path).unwrap()));
        }
    }
    Some(files)
}
