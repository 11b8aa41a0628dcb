//! Carries connections to the API server's port into the cluster's network namespace.

use std::net::Ipv4Addr;

use anyhow::Result;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

/// Accepts outside, connects inside to the same port.
pub(super) async fn serve(outside: TcpListener, port: u16) -> Result<()> {
    loop {
        let (client, _) = outside.accept().await?;
        tokio::spawn(async move {
            // While the API server is down the client sees a closed connection, as without a forwarder.
            if let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
                carry(client, server).await;
            }
        });
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream) {
    for socket in [&client, &server] {
        if let Err(error) = socket.set_nodelay(true) {
            eprintln!("cannot switch off delays on a forwarded connection: {error}");
        }
    }
    // An error here is a peer that went away without saying goodbye; both ends are closed with it.
    drop(copy_bidirectional(&mut client, &mut server).await);
}
