//! Subscribes to a topic, publishes thirty messages (ten plain, ten that ask for confirmation, ten plain), and prints as one line
//! of JSON which of them it has received. Arguments: URL, token, topic.
use rust_socketio::{client::Client, ClientBuilder, Event, Payload, TransportType};
use serde_json::{json, Value};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::time::{Duration, Instant};

const ANSWER_LIMIT: Duration = Duration::from_secs(10);

fn first(payload: Payload) -> Value {
    match payload {
        Payload::Text(values) => values.into_iter().next().unwrap_or(Value::Null),
        _ => Value::Null,
    }
}

/// Sends a command and waits for its answer. The client passes the arguments of an acknowledgement as one list.
fn ask(client: &Client, command: &str, request: Value) -> Result<Value, String> {
    let (answered, answer): (Sender<Value>, Receiver<Value>) = channel();
    client
        .emit_with_ack(command, request, ANSWER_LIMIT, move |payload, _| {
            let _ = answered.send(first(payload));
        })
        .map_err(|error| error.to_string())?;
    let answer = answer.recv_timeout(ANSWER_LIMIT).map_err(|_| format!("{command} was not answered"))?;
    let answer = answer.get(0).cloned().unwrap_or(answer);
    if answer["ok"] == json!(true) { Ok(answer) } else { Err(format!("{command}: {answer}")) }
}

fn run(url: &str, token: &str, topic: &str) -> Result<Value, String> {
    let (joined, is_joined) = channel();
    let (arrived, arrivals) = channel();
    let client = ClientBuilder::new(url)
        .transport_type(TransportType::Websocket)
        .auth(json!({ "token": token }))
        .on("status", move |_, _| {
            let _ = joined.send(());
        })
        .on(Event::Message, move |payload, _| {
            let _ = arrived.send(first(payload));
        })
        .connect()
        .map_err(|error| error.to_string())?;
    is_joined.recv_timeout(ANSWER_LIMIT).map_err(|_| "no status event".to_string())?;
    ask(&client, "subscribe", json!({ "topics": [topic] }))?;
    for n in 0..30 {
        let mut request = json!({ "topic": topic, "payload": n });
        if (10..20).contains(&n) {
            // This client cannot acknowledge events: the answer comes after the time limit.
            request["confirm"] = json!("delivered");
            request["timeout_ms"] = json!(50);
        }
        ask(&client, "publish", request)?;
    }
    let until = Instant::now() + ANSWER_LIMIT;
    let mut received = Vec::new();
    while received.len() < 30 {
        match arrivals.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(message) => received.push(message["payload"].clone()),
            Err(_) => break,
        }
    }
    let _ = client.disconnect();
    Ok(json!({ "received": received }))
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match run(&args[1], &args[2], &args[3]) {
        Ok(result) => println!("{result}"),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    }
}
