//! NP7xx: what the input does not tell.

use super::*;

#[test]
fn np701_what_the_input_does_not_tell() {
    let apps = |env: &str| app("a", "app: a", env) + &policy("p", &egress("app: a", "{}"));
    fires(
        "NP701",
        "is not fully known: MYSQL_URI",
        &apps("env: [{name: MYSQL_URI, valueFrom: {secretKeyRef: {name: s, key: k}}}]"),
        &apps("env: [{name: MYSQL_URI, value: 'mysql://db.example.com/x'}]"),
    );
}
