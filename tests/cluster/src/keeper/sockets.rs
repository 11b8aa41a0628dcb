//! Hands out sockets of the cluster's network namespace. A process outside asks over a unix socket for a
//! connection or a listener inside and gets the file descriptor itself, so no byte passes through the keeper.

use std::io::{self, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UnixListener};

use crate::state::State;

const SOCKET: &str = "sockets.sock";
/// Nothing inside is farther away than this machine.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// What is asked for, a line of JSON.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// A connection to this address.
    Connection(SocketAddr),
    /// A socket that listens on this address.
    Listener(SocketAddr),
}

/// Asks the keeper for a socket. Blocks, up to 5 s for a connection that nobody answers.
///
/// # Errors
/// When the cluster is not running, nobody answers on the address, or it is taken.
pub fn get(state: &State, wanted: Wanted) -> Result<OwnedFd> {
    let name = state.name();
    let mut keeper =
        UnixStream::connect(state.path(SOCKET)).with_context(|| format!("cluster {name:?} is not running"))?;
    let mut line = serde_json::to_vec(&wanted)?;
    line.push(b'\n');
    keeper.write_all(&line)?;
    let mut text = [0; 512];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = recvmsg(
        &keeper,
        &mut [IoSliceMut::new(&mut text)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut sockets) = message
            && let Some(socket) = sockets.next()
        {
            return Ok(socket);
        }
    }
    bail!(
        "{wanted:?} in cluster {name:?}: {}",
        String::from_utf8_lossy(&text[..got.bytes])
    )
}

pub(super) fn listen(state: &State) -> Result<UnixListener> {
    UnixListener::bind(state.path(SOCKET)).context("cannot listen for those who ask for sockets")
}

pub(super) async fn serve(requests: UnixListener) -> Result<()> {
    loop {
        let (client, _) = requests.accept().await?;
        tokio::spawn(async move {
            if let Err(error) = answer(client).await {
                eprintln!("a socket was not handed out: {error:#}");
            }
        });
    }
}

async fn answer(mut client: tokio::net::UnixStream) -> Result<()> {
    let mut line = String::new();
    BufReader::new(&mut client).read_line(&mut line).await?;
    let socket = open(serde_json::from_str(&line)?).await;
    let client = client.into_std()?;
    client.set_nonblocking(false)?;
    match socket {
        Ok(socket) => send(&client, b"+", Some(socket.as_fd())),
        Err(error) => send(&client, error.to_string().as_bytes(), None),
    }
}

async fn open(wanted: Wanted) -> io::Result<OwnedFd> {
    match wanted {
        Wanted::Connection(address) => {
            let connecting = TcpStream::connect(address);
            let limited = tokio::time::timeout(CONNECT_LIMIT, connecting).await;
            let stream = limited.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            stream.set_nodelay(true)?;
            Ok(stream.into_std()?.into())
        }
        Wanted::Listener(address) => Ok(TcpListener::bind(address).await?.into_std()?.into()),
    }
}

fn send(client: &UnixStream, text: &[u8], socket: Option<BorrowedFd<'_>>) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let sockets: Vec<BorrowedFd<'_>> = socket.into_iter().collect();
    if !sockets.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(&sockets));
    }
    sendmsg(client, &[IoSlice::new(text)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}
