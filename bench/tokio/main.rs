//! main.rs - what tasks and channels of tokio cost, in turn with vts
//!
//! Given the directory of the C programs, each round runs a row of theirs for a burst and
//! then its own counterpart, see b_go.go. Prints lines of tab-separated fields for report.awk:
//!
//!     turn  tokio  group  row of vts  row of tokio  ns of vts  ns of tokio
//!
//! Called with "echo" it is a server of b_socket.h.

use std::cell::Cell;
use std::process::Command;
use std::rc::Rc;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{spawn_local, yield_now, LocalSet};

const ROUNDS: usize = 5;

/// One task waits, another completes; both on one thread.
async fn resumed(n: usize) -> usize {
    let (sender, mut receiver) = mpsc::unbounded_channel::<usize>();
    let waiting = spawn_local(async move {
        let mut sum = 0;
        while let Some(value) = receiver.recv().await {
            sum += value;
        }
        sum
    });
    for _ in 0..n {
        yield_now().await;
        sender.send(1).unwrap();
    }
    drop(sender);
    waiting.await.unwrap()
}

/// Tasks spawned and run, 64 at a time.
async fn posted(n: usize) -> usize {
    let count = Rc::new(Cell::new(0));
    for batch in 0..n / 64 {
        for _ in 0..64 {
            let count = count.clone();
            spawn_local(async move { count.set(count.get() + 1) });
        }
        while count.get() < (batch + 1) * 64 {
            yield_now().await;
        }
    }
    count.get()
}

/// What the C program prints for one row, if it is there.
fn burst(directory: &str, program: &str, group: &str, row: &str) -> Option<f64> {
    let output = Command::new(format!("{directory}/{program}"))
        .args(["burst", group, row])
        .output()
        .ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

fn measure<F: std::future::Future<Output = usize>>(run: impl Fn(usize) -> F, n: usize) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let tasks = LocalSet::new();
    assert_eq!(tasks.block_on(&runtime, run(n)), n);
    let begin = Instant::now();
    assert_eq!(tasks.block_on(&runtime, run(n)), n);
    begin.elapsed().as_nanos() as f64 / n as f64
}

fn turn(directory: &str, group: &str, row: &str, name: &str, own: impl Fn() -> f64) {
    if let Some(vts) = burst(directory, "b_loop", group, row) {
        println!("turn\ttokio\t{group}\t{row}\t{name}\t{vts:.6}\t{:.6}", own());
    }
}

async fn handle(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 128];
    loop {
        let size = stream.read(&mut buffer).await?;
        if size == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..size]).await?;
    }
}

async fn serve() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("port {} own 128", listener.local_addr()?.port());
    loop {
        let (stream, _) = listener.accept().await?;
        spawn_local(async {
            let _ = handle(stream).await;
        });
    }
}

/// On one thread.
fn echo() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    LocalSet::new().block_on(&runtime, serve()).unwrap();
}

fn main() {
    let directory = std::env::args().nth(1).expect("the directory of the C programs");
    if directory == "echo" {
        return echo();
    }
    for _ in 0..ROUNDS {
        turn(
            &directory,
            "await, resumed by a loop",
            "coroutine",
            "task resumed by a channel",
            || measure(resumed, 20000),
        );
        turn(
            &directory,
            "post and run, 64 at a time",
            "loop",
            "tasks spawned",
            || measure(posted, 64 * 512),
        );
    }
}
