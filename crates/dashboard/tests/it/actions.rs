//! What may be done with the token.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::{check, document};
use crate::fixture::*;

fn body(symbol: &str, interval: &str) -> String {
    json!({"series": [{"market": "um", "symbol": symbol, "interval": interval}]}).to_string()
}

/// Asks for a job; the answer is as described.
async fn ask_for(stage: &Stage, what: &str, token: &str, body: &str) -> (u16, Value) {
    let reply = post(&stage.app, what, token, body).await;
    check(&document(), "post", what, &reply);
    (reply.status.as_u16(), reply.json())
}

/// Waits until the last job has ended, which is as described.
async fn ended(stage: &Stage) -> Value {
    for _ in 0..200 {
        let reply = get(&stage.app, "/api/v1/jobs").await;
        check(&document(), "get", "/api/v1/jobs", &reply);
        let last = reply.json()["jobs"].as_array().unwrap().last().unwrap().clone();
        if last["ended"].is_string() {
            return last;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the job does not end");
}

#[tokio::test]
async fn filling_takes_the_token_and_one_job_at_a_time() {
    let stage = stage().await;
    let fill = async |token: &str, body: &str| ask_for(&stage, "/api/v1/fill", token, body).await.0;
    assert_eq!(fill("wrong", &body("BTCUSDT", "5m")).await, 401);
    assert_eq!(fill(TOKEN, &body("btc usdt", "5m")).await, 400);
    assert_eq!(fill(TOKEN, r#"{"series": []}"#).await, 400);
    assert_eq!(fill(TOKEN, "[]").await, 400);
    assert_eq!(fill(TOKEN, &body("BTCUSDT", "5m")).await, 202);
    assert_eq!(ended(&stage).await["outcome"], "complete");
    assert_eq!(fill(TOKEN, &body("SLOWUSDT", "5m")).await, 202);
    assert_eq!(fill(TOKEN, &body("BTCUSDT", "5m")).await, 409);
    stage.stop.cancel();
    ended(&stage).await;
}

#[tokio::test]
async fn comparing_takes_the_token_and_series_that_are_stored() {
    let stage = stage().await;
    let verify = async |token: &str, body: &str| ask_for(&stage, "/api/v1/verify", token, body).await;
    let refused = [
        ("wrong", body("BTCUSDT", "5m"), 401, "the token"),
        (TOKEN, body("btc usdt", "5m"), 400, "btc usdt"),
        (TOKEN, r#"{"series": []}"#.into(), 400, "name 1 to 1000"),
        (TOKEN, body("BTCUSDT", "5m").replace("]}", r#"], "repair": true}"#), 400, "repair"),
        (TOKEN, body("BTCUSDT", "5m").replace("]}", r#"], "since": "soon"}"#), 400, "since"),
        (
            TOKEN,
            body("BTCUSDT", "5m").replace("]}", r#"], "since": "2025-01-02", "until": "2025-01-01"}"#),
            400,
            "the range is empty",
        ),
        (TOKEN, body("DOGEUSDT", "5m"), 404, "nothing is stored of um DOGEUSDT 5m"),
    ];
    for (token, body, status, words) in refused {
        let (found, answer) = verify(token, &body).await;
        assert_eq!(found, status, "{body}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(words), "{body}: {answer}");
    }
    let jobs = get(&stage.app, "/api/v1/jobs").await.json();
    assert_eq!(jobs["jobs"], json!([]), "what was refused is no job");
}

#[tokio::test]
async fn a_comparison_tells_that_all_is_the_same_or_what_differs_first() {
    let stage = stage().await;
    let (status, job) = ask_for(&stage, "/api/v1/verify", TOKEN, &body("ETHUSDT", "1h")).await;
    assert_eq!((status, &job["job"], &job["comparison"]), (202, &json!("verify"), &Value::Null));
    let job = ended(&stage).await;
    assert_eq!((&job["outcome"], &job["error"]), (&json!("clean"), &Value::Null));
    let same = &job["comparison"];
    assert_eq!((&same["equal"], &same["differ"], &same["findings"]), (&json!(100), &json!(0), &json!([])));

    ask_for(&stage, "/api/v1/verify", TOKEN, &body("BTCUSDT", "5m")).await;
    let job = ended(&stage).await;
    assert_eq!(job["outcome"], "found");
    let found = &job["comparison"];
    assert_eq!((&found["differ"], &found["drift"], &found["missing"]), (&json!(36), &json!(1), &json!(35)));
    let findings = found["findings"].as_array().unwrap();
    assert_eq!(
        (findings.len(), &found["findings_left_out"]),
        (20, &json!(16)),
        "31 and 5, of which 20 are told"
    );
    assert_eq!(
        findings[0],
        json!({"series": "um BTCUSDT 5m", "kind": "drift", "open_time": "2025-01-01T00:00:00Z", "klines": 1,
            "last": "2025-01-01T00:00:00Z", "fields": [{"field": "close", "stored": "1.20", "source": "1.21"}],
            "detail": null})
    );
}

#[tokio::test]
async fn one_job_at_a_time_whichever_it_is_and_a_failure_says_what_to_do() {
    let stage = stage().await;
    assert_eq!(ask_for(&stage, "/api/v1/verify", TOKEN, &body("BTCUSDT", "1M")).await.0, 202);
    assert_eq!(ask_for(&stage, "/api/v1/fill", TOKEN, &body("BTCUSDT", "5m")).await.0, 409);
    let (status, answer) = ask_for(&stage, "/api/v1/verify", TOKEN, &body("BTCUSDT", "5m")).await;
    assert_eq!(status, 409, "{answer}");
    assert!(answer["hint"].as_str().unwrap().contains("wait until it has ended"), "{answer}");
    stage.stop.cancel();
    let job = ended(&stage).await;
    let told = (&job["outcome"], &job["error"], &job["hint"]);
    assert_eq!(told, (&json!("failed"), &json!("the exchange is away"), &json!("start it again")));
    assert_eq!(job["comparison"], Value::Null);
}

#[tokio::test]
async fn without_a_token_of_its_own_a_dashboard_does_nothing() {
    let folder = stocked().await;
    let url = format!("sqlite://{}/klines.db", folder.path().display());
    let app = dashboard::app(dashboard::Config { actions: None, ..config(&url) }, Default::default());
    for what in ["/api/v1/fill", "/api/v1/verify"] {
        let reply = post(&app, what, TOKEN, "{}").await;
        check(&document(), "post", what, &reply);
        assert_eq!(reply.status, 403, "{what}");
    }
    assert_eq!(get(&app, "/api/v1/overview").await.json()["actions"], false);
}
