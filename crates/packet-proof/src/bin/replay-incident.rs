//! Replays the incident with the real programs: `klines fill-gaps` in a network namespace under the policies as they
//! were, and as they became, with a local exchange, a MariaDB and a NATS server in other namespaces.
//!
//! `replay-incident KLINES BEFORE AFTER [CONTEXT]`: the program, and folders with manifests. See scripts/replay-incident.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use netpol::{Input, SourceFile};
use packet_proof::compile::{Pod, Policies, compile};
use packet_proof::{Ended, Launcher, Plan, Results, Round, Scenario, Task, helper_main, rights, run};

const EXCHANGE: &str = "fapi.binance.com";
const DATABASE: &str = "mysql.data.svc.cluster.local";
const BROKER: &str = "nats-server.nats.svc.cluster.local";
/// 2025-09-12T00:00:00Z, and five-minute slots up to the night the incident was mended.
const SINCE: i64 = 1_757_635_200_000;
const SLOT: i64 = 300_000;
const SLOTS: i64 = 11_256;
const NOW: &str = "2025-10-21T02:05:00Z";

/// A series: its symbol, its holes as start and length in slots, and how many klines they lack together.
type Holes = (&'static str, &'static [(i64, i64)], i64);

/// The series of the incident; the sums are what its run wrote.
const HOLES: [Holes; 2] = [
    (
        "BTCUSDT",
        &[
            (0, 150),
            (700, 1),
            (703, 1),
            (1000, 12),
            (2000, 1300),
            (4000, 1),
            (5000, 499),
            (7000, 288),
            (11_029, 227),
        ],
        2479,
    ),
    (
        "ETHUSDT",
        &[(0, 1), (300, 96), (1200, 1), (2500, 1600), (4800, 288), (6000, 1), (8200, 244), (11_005, 251)],
        2482,
    ),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let launcher = match Launcher::current(&[]) {
        Ok(launcher) => launcher,
        Err(error) => return fail(&format!("cannot find this program: {error}")),
    };
    if let [role] = arguments.as_slice()
        && (role == "world" || role == "agent")
    {
        return helper_main(role, &launcher).map_or_else(|message| fail(&message), |()| ExitCode::SUCCESS);
    }
    if let Err(error) = rights() {
        let why = error.to_string().replace("\n  hint:", ";");
        return match writeln!(io::stdout(), "skipped: replay-incident ({why})") {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let folder = std::env::temp_dir().join(format!("replay-incident-{}", std::process::id()));
    let result = replay(&arguments, &launcher, &folder);
    // What cannot be removed is in the way of nothing.
    let _ = fs::remove_dir_all(&folder);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => fail(&message),
    }
}

fn fail(message: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "error: {message}");
    ExitCode::FAILURE
}

fn replay(arguments: &[String], launcher: &Launcher, folder: &Path) -> Result<(), String> {
    let [klines, before, after, context @ ..] = arguments else {
        return Err("usage: replay-incident KLINES BEFORE AFTER [CONTEXT]".to_owned());
    };
    let klines = fs::canonicalize(klines).map_err(|error| format!("cannot find {klines}: {error}"))?;
    let read = |folder: &String| {
        let mut files = manifests(Path::new(folder))?;
        for more in context {
            files.extend(manifests(Path::new(more))?);
        }
        Ok::<Input, String>(Input::parse(files))
    };
    let (before, after) = (read(before)?, read(after)?);
    prepare_database(folder)?;
    let stage = Stage::new(&after, folder, &klines)?;
    let rules = |input: &Input| {
        let policies = Policies {
            policies: &input.policies,
            admin: &input.admin_policies,
            default_namespace: "default",
            default_deny: &[],
        };
        compile(&stage.scenario.cluster, &policies).text
    };
    let job = stage.job();
    let plan = Plan {
        nodes: stage.scenario.nodes.clone(),
        rounds: vec![
            Round { tasks: stage.history(), ..Round::default() },
            Round {
                ruleset: rules(&before),
                tasks: vec![job.clone(), stage.job_on_disk()],
                ..Round::default()
            },
            Round {
                ruleset: rules(&after),
                tasks: vec![job, stage.count(), stage.drain()],
                ..Round::default()
            },
        ],
    };
    let results = run(&plan, launcher).map_err(|error| error.to_string())?;
    tell(&results, folder)
}

/// The machines, and what runs on them.
struct Stage {
    scenario: Scenario,
    pod: usize,
    database: usize,
    klines: PathBuf,
    folder: PathBuf,
}

impl Stage {
    fn new(input: &Input, folder: &Path, klines: &Path) -> Result<Self, String> {
        let mut scenario = Scenario::new(input, true);
        let named = |name: &str| input.workloads.iter().find(|workload| workload.meta.name.value == name);
        let workload = named("binance-klines-gap-filler-m5")
            .ok_or("the manifests have no CronJob binance-klines-gap-filler-m5")?;
        let pod = scenario.add_workload(workload, "default");
        let mut add = |name: &str, namespace: &str, labels: &[(&str, &str)]| {
            let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            let shape = Pod { namespace: namespace.to_owned(), labels, ..Pod::default() };
            scenario.add_pod(name.to_owned(), shape, [])
        };
        let dns = add("resolver", "kube-system", &[("k8s-app", "kube-dns")]);
        let database = add("mysql", "data", &[("app", "mysql")]);
        let broker = add("nats", "nats", &[("app", "nats")]);
        let exchange = scenario.add_outside("exchange".to_owned(), vec![IpAddr::from([5, 5, 5, 5])]);
        let address = |scenario: &Scenario, node: usize| scenario.nodes[node].addresses[0];
        let names: BTreeMap<String, Vec<IpAddr>> =
            [(EXCHANGE, exchange), (DATABASE, database), (BROKER, broker)]
                .into_iter()
                .map(|(name, node)| (name.to_owned(), vec![address(&scenario, node)]))
                .collect();
        scenario.resolve(dns, 53, names);
        scenario.nodes[pod].resolver = Some(address(&scenario, dns));
        let text = |path: &Path| path.display().to_string();
        let at = |file: &str| text(&folder.join(file));
        scenario.nodes[exchange].services.push(task(
            0,
            &[
                &text(klines),
                "simulate",
                "--listen",
                "5.5.5.5:443",
                "--now",
                NOW,
                "--synthetic",
                "um:BTCUSDT",
                "--synthetic",
                "um:ETHUSDT",
            ],
        ));
        scenario.nodes[database].services.push(task(
            0,
            &[
                "mariadbd",
                "--no-defaults",
                "--user=root",
                "--skip-grant-tables",
                &format!("--datadir={}", at("mysql")),
                &format!("--socket={}", at("mysql.sock")),
                "--port=3306",
                "--bind-address=0.0.0.0",
                "--local-infile=1",
            ],
        ));
        let broker_address = address(&scenario, broker);
        let listener = format!(
            "until exec 3<>/dev/tcp/{broker_address}/4222; do sleep 0.1; done; printf 'CONNECT {{\"verbose\":false}}\\r\\nSUB \
             > 1\\r\\n' >&3; exec cat <&3 >'{}'",
            at("messages")
        );
        scenario.nodes[broker].services.extend([
            task(0, &["nats-server", "-a", "0.0.0.0", "-p", "4222", "-js", "-sd", &at("nats")]),
            task(0, &["bash", "-c", &listener]),
        ]);
        let (klines, folder) = (klines.to_owned(), folder.to_owned());
        Ok(Self { scenario, pod, database, klines, folder })
    }

    fn klines(&self, arguments: &[&str], messages: bool) -> Task {
        let program = self.klines.display().to_string();
        let mut task = task(self.pod, &[&program]);
        task.argv.extend(arguments.iter().map(|&argument| argument.to_owned()));
        let exchange = format!("http://{EXCHANGE}:443");
        let store = format!("mysql://root@{DATABASE}:3306/klines");
        let broker = format!("nats://{BROKER}:4222");
        for (key, value) in [
            ("BINANCE_FUTURES_API_URL", exchange.as_str()),
            ("KLINES_STORE", &store),
            ("NATS_URL", &broker),
            ("NATS_ENABLED", if messages { "true" } else { "false" }),
            ("HOME", &self.folder.display().to_string()),
        ] {
            task.env.insert(key.to_owned(), value.to_owned());
        }
        task
    }

    /// The job of the CronJob, over the range with the holes.
    fn job(&self) -> Task {
        let (since, until) = (SINCE.to_string(), (SINCE + SLOTS * SLOT).to_string());
        let symbols = HOLES.map(|(symbol, ..)| symbol).join(",");
        let range = ["--symbols", &symbols, "--intervals", "5m", "--since", &since, "--until", &until];
        self.klines(&[&["fill-gaps", "--output", "json"], &range[..]].concat(), true)
    }

    /// The same job with a store that needs no network: the first name it has to resolve is the exchange's.
    fn job_on_disk(&self) -> Task {
        let mut job = self.job();
        let store = format!("sqlite://{}", self.folder.join("klines.db").display());
        job.env.insert("KLINES_STORE".to_owned(), store);
        job
    }

    /// Makes the database and fills it around the holes, before there are any policies.
    fn history(&self) -> Vec<Task> {
        let socket = self.folder.join("mysql.sock");
        let ready = format!(
            "for i in $(seq 300); do mariadb --no-defaults -S '{0}' -e 'CREATE DATABASE klines' && exit 0; sleep 0.1; done; \
             exit 1",
            socket.display()
        );
        let mut tasks = vec![task(self.database, &["bash", "-c", &ready])];
        for (symbol, holes, _) in HOLES {
            let ends = holes.iter().map(|(start, length)| start + length);
            let starts = holes.iter().map(|(start, _)| *start).skip(1).chain([SLOTS]);
            for (from, to) in ends.zip(starts).filter(|(from, to)| from < to) {
                let (since, until) = ((SINCE + from * SLOT).to_string(), (SINCE + to * SLOT).to_string());
                tasks.push(self.klines(
                    &[
                        "fill-gaps",
                        "--symbols",
                        symbol,
                        "--intervals",
                        "5m",
                        "--since",
                        &since,
                        "--until",
                        &until,
                    ],
                    false,
                ));
            }
        }
        tasks
    }

    /// The rows as the database counts them.
    fn count(&self) -> Task {
        let socket = self.folder.join("mysql.sock").display().to_string();
        let query = "SELECT symbol, COUNT(*) FROM klines_m5 GROUP BY symbol ORDER BY symbol";
        task(self.database, &["mariadb", "--no-defaults", "-S", &socket, "-N", "-B", "klines", "-e", query])
    }

    /// Gives the listener time to write down the last message.
    fn drain(&self) -> Task {
        task(self.database, &["sleep", "0.5"])
    }
}

fn task(node: usize, argv: &[&str]) -> Task {
    Task { node, argv: argv.iter().map(|&word| word.to_owned()).collect(), env: BTreeMap::new() }
}

fn manifests(folder: &Path) -> Result<Vec<SourceFile>, String> {
    let failed = |error: io::Error| format!("cannot read {}: {error}", folder.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            paths.push(path);
        }
    }
    paths.sort();
    let read = |path: &PathBuf| {
        fs::read_to_string(path).map(|text| SourceFile::new(path.display().to_string(), text)).map_err(failed)
    };
    paths.iter().map(read).collect()
}

fn prepare_database(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let output = Command::new("mariadb-install-db")
        .args(["--no-defaults", "--user=root", "--auth-root-authentication-method=normal"])
        .arg(format!("--datadir={}", folder.join("mysql").display()))
        .output()
        .map_err(|error| format!("cannot start mariadb-install-db: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("mariadb-install-db failed: {}", String::from_utf8_lossy(&output.stderr)))
}

/// Tells the story, and fails where it went another way.
fn tell(results: &Results, folder: &Path) -> Result<(), String> {
    let mut out = io::stdout().lock();
    let task = |round: usize, at: usize| -> Result<&Ended, String> {
        results.tasks.get(round).and_then(|tasks| tasks.get(at)).ok_or_else(|| "a step is missing".to_owned())
    };
    if let Some(failed) = results.tasks.first().and_then(|tasks| tasks.iter().find(|one| one.code != Some(0)))
    {
        return Err(format!("the stage could not be set: {}{}", failed.out, failed.err));
    }
    let write = |out: &mut io::StdoutLock<'_>, text: &str| {
        writeln!(out, "{text}").map_err(|error| format!("cannot write: {error}"))
    };
    for (at, what, host) in [(0, "MariaDB", DATABASE), (1, "a file", EXCHANGE)] {
        let before = task(1, at)?;
        let words = format!("{}{}", before.err, before.out);
        let told =
            format!("Before, storing into {what}: exit code {:?} after {} ms", before.code, before.millis);
        write(&mut out, &told)?;
        write(&mut out, &indent(&before.err))?;
        // "failed to resolve", "failure in name resolution".
        if before.code == Some(0) || !words.contains("resol") || !words.contains(host) {
            return Err(format!("the job should have failed because {host} cannot be resolved:\n{words}"));
        }
    }
    let after = task(2, 0)?;
    write(
        &mut out,
        &format!("After, storing into MariaDB: exit code {:?} after {} ms", after.code, after.millis),
    )?;
    if after.code != Some(0) {
        return Err(format!("the job should have succeeded:\n{}{}", after.out, after.err));
    }
    let report: serde_json::Value = serde_json::from_str(&after.out)
        .map_err(|error| format!("its report is no JSON: {error}\n{}", after.out))?;
    let messages = fs::read(folder.join("messages")).unwrap_or_default();
    let messages = String::from_utf8_lossy(&messages).into_owned();
    for (symbol, _, expected) in HOLES {
        let series = report["series"].as_array().into_iter().flatten().find(|one| one["symbol"] == symbol);
        let written = series.and_then(|series| series["written"].as_i64());
        let subject = format!("binance.extraction.gap-filler.klines_gap_filling.{symbol}.5m");
        let told = messages.contains(&subject);
        write(
            &mut out,
            &format!("  {symbol}: {} klines written, message {subject}: {told}", written.unwrap_or(-1)),
        )?;
        if written != Some(expected) || !told {
            return Err(format!("{symbol}: {expected} klines and a message were expected\n{}", after.err));
        }
    }
    write(
        &mut out,
        &format!("  rows in the database: {}", task(2, 1)?.out.trim().replace(['\n', '\t'], " ")),
    )?;
    for (symbol, ..) in HOLES {
        if !task(2, 1)?.out.contains(&format!("{symbol}\t{SLOTS}")) {
            return Err(format!("{symbol} should have {SLOTS} rows: {}", task(2, 1)?.err));
        }
    }
    Ok(())
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  | {line}")).collect::<Vec<_>>().join("\n")
}
