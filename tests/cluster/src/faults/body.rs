//! Bodies of answers: as they are, or slowed, cut, stalled and corrupted on their way out.

use std::future::pending;

use anyhow::{anyhow, bail};
use bytes::{Bytes, BytesMut};
use futures::stream;
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use tokio::sync::watch;

use super::{Effect, Wire};

/// The body of an answer. An error in it closes the connection.
pub type Body = UnsyncBoxBody<Bytes, anyhow::Error>;

struct Spoiled {
    wire: Wire,
    number: u64,
    effect: Option<Effect>,
    inner: Body,
    /// Received from `inner` and not yet handed on.
    rest: Bytes,
    position: u64,
}

/// The body of the answer to request `number`, with the speed of the wire and the effect of its fault, until `cut`
/// changes.
pub(super) fn spoiled(wire: Wire, cut: watch::Receiver<()>, number: u64, effect: Option<Effect>, inner: Body) -> Body {
    let spoiled = Spoiled {
        wire,
        number,
        effect,
        inner,
        rest: Bytes::new(),
        position: 0,
    };
    let frames = stream::unfold((spoiled, cut), |(mut spoiled, mut cut)| async move {
        let frame = spoiled.next_or_cut(&mut cut).await?;
        Some((frame, (spoiled, cut)))
    });
    StreamBody::new(frames).boxed_unsync()
}

impl Spoiled {
    async fn next_or_cut(&mut self, cut: &mut watch::Receiver<()>) -> Option<anyhow::Result<Frame<Bytes>>> {
        tokio::select! {
            _ = cut.changed() => Some(Err(anyhow!("cut as ordered"))),
            frame = self.next() => frame.transpose(),
        }
    }

    async fn next(&mut self) -> anyhow::Result<Option<Frame<Bytes>>> {
        while self.rest.is_empty() {
            let Some(frame) = self.inner.frame().await.transpose()? else {
                return Ok(None);
            };
            match frame.into_data() {
                Ok(data) => self.rest = data,
                Err(trailers) => return Ok(Some(trailers)),
            }
        }
        let length = self.allowed().await?.min(self.wire.piece()).min(self.rest.len());
        let piece = self.rest.split_to(length);
        let piece = self.corrupted(piece);
        self.wire.turn(piece.len()).await;
        self.position += piece.len() as u64;
        self.wire.sent(self.number, piece.len());
        Ok(Some(Frame::data(piece)))
    }

    /// How many bytes the fault still lets through; where it lets none, this is where it strikes.
    async fn allowed(&mut self) -> anyhow::Result<usize> {
        let Some(Effect::Truncate { after } | Effect::Stall { after }) = self.effect else {
            return Ok(usize::MAX);
        };
        if self.position < after {
            return Ok(usize::try_from(after - self.position).unwrap_or(usize::MAX));
        }
        if matches!(self.effect, Some(Effect::Stall { .. })) {
            pending::<()>().await;
        }
        // The server flushes what it was given only when the body has nothing to say for a moment.
        tokio::task::yield_now().await;
        bail!("truncated as ordered")
    }

    fn corrupted(&self, piece: Bytes) -> Bytes {
        let Some(Effect::Corrupt { at }) = self.effect else {
            return piece;
        };
        let Some(place) = at
            .checked_sub(self.position)
            .and_then(|place| usize::try_from(place).ok())
        else {
            return piece;
        };
        let mut bytes = BytesMut::from(piece);
        if let Some(byte) = bytes.get_mut(place) {
            *byte = !*byte;
        }
        bytes.freeze()
    }
}
