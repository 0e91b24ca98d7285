// Runs the crate qlora-rs for the benchmark: one JSON object a line in, one out; see ../../README.md. Threads come from
// RAYON_NUM_THREADS, which candle and its matrix products read. Odd: candle has no frozen inputs of a product, so its
// backward computes the gradient of the dequantized weight too and throws it away; that is part of what is measured.
mod jobs;

use jobs::Job;
use serde_json::{json, Value};
use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::time::Instant;

type Answer = Result<Value, Box<dyn std::error::Error>>;

/// Runs before the first that counts.
const WARM_UPS: usize = 2;

/// The most memory that the process has held so far, in bytes.
fn peak_bytes() -> i64 {
    // SAFETY: getrusage fills the struct that it is given.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    usage.ru_maxrss * if cfg!(target_os = "macos") { 1 } else { 1024 }
}

fn describe() -> Value {
    json!({
        "versions": { "qlora-rs": "1.0.5", "candle": "0.9.2", "peft-rs": "1.0.3" },
        "threads": std::env::var("RAYON_NUM_THREADS").ok().and_then(|t| t.parse::<u32>().ok()),
    })
}

struct Driver {
    jobs: BTreeMap<u64, Box<dyn Job>>,
    next: u64,
}

impl Driver {
    fn answer(&mut self, request: &Value) -> Answer {
        let handle = request["handle"].as_u64().unwrap_or(0);
        let unknown = || format!("no job has the handle {handle}");
        match request["do"].as_str() {
            Some("describe") => Ok(describe()),
            Some("prepare") => {
                let mut job = jobs::prepare(&request["job"])?;
                for _ in 0..WARM_UPS {
                    job.run()?;
                }
                let check = job.check()?;
                self.next += 1;
                self.jobs.insert(self.next, job);
                Ok(json!({ "handle": self.next, "check": check }))
            }
            Some("run") => {
                let job = self.jobs.get_mut(&handle).ok_or_else(unknown)?;
                let mut ms = Vec::new();
                for _ in 0..request["times"].as_u64().unwrap_or(1) {
                    let start = Instant::now();
                    job.run()?;
                    ms.push(start.elapsed().as_secs_f64() * 1e3);
                }
                Ok(json!({ "ms": ms }))
            }
            Some("release") => {
                self.jobs.remove(&handle).ok_or_else(unknown)?;
                Ok(json!({ "memory": { "process": peak_bytes() } }))
            }
            other => Err(format!("does not know how to {other:?}").into()),
        }
    }
}

fn main() {
    let mut driver = Driver { jobs: BTreeMap::new(), next: 0 };
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let request: Value = serde_json::from_str(&line).unwrap_or(Value::Null);
        if request["do"] == "stop" {
            break;
        }
        let mut answer = match driver.answer(&request) {
            Ok(answer) => answer,
            Err(error) => json!({ "error": error.to_string() }),
        };
        answer["ok"] = json!(answer.get("error").is_none());
        println!("{answer}");
        let _ = std::io::stdout().flush();
    }
}
