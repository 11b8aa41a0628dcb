//! The first process of a cluster's namespaces: sets them up, then starts, reaps and stops the components.
//! When it ends, the kernel ends every process beside it and takes every mount and link with them.

mod namespaces;
mod table;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::control::{Request, Response, SOCKET};
use crate::state::State;
use table::Table;

/// Runs until the keeper that started it is gone.
///
/// # Errors
/// When the namespaces cannot be set up.
pub fn run(state: &State) -> Result<()> {
    let spec = state.spec()?;
    // containerd 1.6 takes a shim that lies in its working directory; this folder holds none.
    std::env::set_current_dir(state.dir())?;
    namespaces::set_up(state, spec.kind)?;
    let table = Arc::new(Table::new(state.clone()));
    let socket = UnixListener::bind(state.path(SOCKET)).context("cannot listen for requests")?;
    std::thread::spawn(end_with_keeper);
    let served = table.clone();
    std::thread::spawn(move || serve(&socket, &served));
    table.reap()
}

/// The keeper holds the other end of stdin; it closes however the keeper ends.
fn end_with_keeper() {
    let mut nothing = [0; 64];
    while matches!(std::io::stdin().read(&mut nothing), Ok(1..)) {}
    eprintln!("the keeper is gone");
    std::process::exit(0);
}

fn serve(socket: &UnixListener, table: &Arc<Table>) {
    for connection in socket.incoming() {
        let table = table.clone();
        std::thread::spawn(move || {
            if let Err(error) = connection.map_err(Into::into).and_then(|c| answer(c, &table)) {
                eprintln!("a request was not answered: {error:#}");
            }
        });
    }
}

fn answer(mut connection: UnixStream, table: &Table) -> Result<()> {
    let mut line = String::new();
    BufReader::new(&connection).read_line(&mut line)?;
    let response: Response = serde_json::from_str::<Request>(&line)
        .map_err(Into::into)
        .and_then(|request| table.handle(request))
        .map_err(|error| format!("{error:#}"));
    let mut text = serde_json::to_vec(&response)?;
    text.push(b'\n');
    Ok(connection.write_all(&text)?)
}
