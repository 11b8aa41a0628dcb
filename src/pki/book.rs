//! What the Secret of the certificates holds: the authority that signs, the next one, and everyone to be trusted.
//! Pure: times are arguments, and certificates are bytes with dates.

use jiff::{SignedDuration, Timestamp};
use std::fmt;
use std::time::Duration;

/// A rollover needs three. More come from a Secret that is destroyed again and again; the oldest then give way, so
/// that a bundle stays small.
pub const MOST_TRUSTED: usize = 8;

/// Lifetimes and waits.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Life of an authority.
    pub authority: SignedDuration,
    /// The next authority is made when the present one has less than this left.
    pub stage: SignedDuration,
    /// A staged authority signs nothing before this: whoever restores an older state is noticed by then.
    pub promote: SignedDuration,
    /// A staged authority must have been seen in every live bundle for this long before it signs.
    pub seen: SignedDuration,
    /// Life of a serving certificate.
    pub leaf: SignedDuration,
    /// After this no certificate of a former authority can be alive: the life of a leaf, and a day for a replica
    /// that learnt late that it must not sign with it any more.
    pub retire: SignedDuration,
    /// Certificates are valid from this much before they are made, for clocks that are behind.
    pub skew: SignedDuration,
    /// Between two authorities that were made for want of a usable one.
    pub emergency: SignedDuration,
    /// A certificate that is served must be good for at least this long.
    pub ahead: SignedDuration,
    /// The clock is looked at this often. A long sleep would not notice that the machine was suspended.
    pub tick: Duration,
    /// Replicas that see the same thing need not all act on it: what can wait does for up to this long.
    pub leisure: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        let hours = SignedDuration::from_hours;
        Self {
            authority: hours(365 * 24),
            stage: hours(365 * 24 / 3),
            promote: hours(24),
            seen: SignedDuration::from_mins(10),
            leaf: hours(7 * 24),
            retire: hours(8 * 24),
            skew: hours(1),
            emergency: SignedDuration::from_mins(1),
            ahead: hours(1),
            tick: Duration::from_secs(60),
            leisure: Duration::from_secs(5),
        }
    }
}

#[cfg(feature = "test-clock")]
impl Terms {
    /// Everything so much shorter that authorities live for `authority`, minutes rather than a year.
    #[must_use]
    pub fn short(authority: SignedDuration) -> Self {
        Self {
            authority,
            stage: authority / 3,
            promote: authority / 24,
            seen: authority / 60,
            leaf: authority / 10,
            retire: authority / 8,
            ahead: authority / 60,
            tick: Duration::from_secs(1),
            leisure: Duration::from_millis(200),
            ..Self::default()
        }
    }
}

/// The certificate of an authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// DER.
    pub der: Vec<u8>,
    /// Not valid before.
    pub not_before: Timestamp,
    /// Not valid from here on.
    pub not_after: Timestamp,
}

impl Certificate {
    /// Whether it may be used, with some patience for a clock that is behind the one it was made by.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp, terms: &Terms) -> bool {
        self.not_before.duration_since(now) <= terms.skew && now < self.not_after
    }

    /// How long it may still be used.
    #[must_use]
    pub fn remaining(&self, now: Timestamp) -> SignedDuration {
        self.not_after.duration_since(now)
    }
}

/// A private key, PKCS#8 DER. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(pub Vec<u8>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// An authority that can sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// What others trust.
    pub certificate: Certificate,
    /// What signs.
    pub key: Key,
}

/// Everything that the Secret says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Book {
    /// Signs the serving certificates.
    pub active: Authority,
    /// Will sign them; only trusted so far.
    pub next: Option<Authority>,
    /// `ca.crt`, and what the API server is told to trust: the two above and former authorities.
    pub trusted: Vec<Certificate>,
    /// When `next` was made.
    pub staged_at: Option<Timestamp>,
    /// When the last change of `active` was.
    pub promoted_at: Option<Timestamp>,
    /// Counts the authorities ever made; part of their names.
    pub generation: u64,
}

/// Where a rollover stands; the numbers are the metric's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// One authority.
    Steady = 0,
    /// A next authority is trusted and does not sign yet.
    Staged = 1,
    /// A former authority is still trusted.
    Retiring = 2,
}

impl Stage {
    /// One word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Staged => "staged",
            Self::Retiring => "retiring",
        }
    }
}

impl Book {
    /// The book after an emergency: a new authority, and everyone who may still have signed something alive.
    #[must_use]
    pub fn opened(new: Authority, generation: u64, others: &[Certificate], now: Timestamp, terms: &Terms) -> Self {
        let trusted = others.to_vec();
        let book = Self {
            active: new,
            next: None,
            trusted,
            staged_at: None,
            promoted_at: Some(now),
            generation,
        };
        book.tidied(now, terms)
    }

    /// The book as this process remembers it, written over one that is no longer usable.
    #[must_use]
    pub fn restored(&self, others: &[Certificate], now: Timestamp, terms: &Terms) -> Self {
        let mut book = self.clone();
        if others.iter().any(|o| !book.trusted.contains(o)) {
            // Whoever else signed may have done so until now.
            book.promoted_at = Some(now);
        }
        book.trusted.extend_from_slice(others);
        book.tidied(now, terms)
    }

    /// The book with a next authority, which everyone is to trust before it signs.
    #[must_use]
    pub fn staged(&self, next: Authority, generation: u64, now: Timestamp, terms: &Terms) -> Self {
        let book = Self {
            next: Some(next),
            staged_at: Some(now),
            generation,
            ..self.clone()
        };
        book.tidied(now, terms)
    }

    /// The book in which the next authority signs, and the former one is still trusted. Unchanged without a next.
    #[must_use]
    pub fn promoted(&self, now: Timestamp, terms: &Terms) -> Self {
        let mut book = self.clone();
        if let Some(next) = book.next.take() {
            book.trusted.insert(0, book.active.certificate.clone());
            book.active = next;
            (book.staged_at, book.promoted_at) = (None, Some(now));
        }
        book.tidied(now, terms)
    }

    /// The book with exactly the certificates that are to be trusted now: the two authorities first, then the former
    /// ones for as long as something that they signed may be alive.
    #[must_use]
    pub fn tidied(&self, now: Timestamp, terms: &Terms) -> Self {
        let mut book = self.clone();
        // Former authorities whose end nobody wrote down: their time starts now.
        let since = *book.promoted_at.get_or_insert(now);
        let current = [Some(&self.active), self.next.as_ref()]
            .into_iter()
            .flatten()
            .map(|a| &a.certificate);
        let mut trusted: Vec<Certificate> = current.cloned().collect();
        let gone = now.duration_since(since) >= terms.retire;
        for certificate in &self.trusted {
            if !trusted.contains(certificate) && !gone && certificate.not_after > now {
                trusted.push(certificate.clone());
            }
        }
        trusted.truncate(MOST_TRUSTED);
        book.trusted = trusted;
        book
    }

    /// The certificates that are trusted only for what was signed before.
    pub fn former(&self) -> impl Iterator<Item = &Certificate> {
        let next = self.next.as_ref().map(|a| &a.certificate);
        self.trusted
            .iter()
            .filter(move |c| **c != self.active.certificate && Some(*c) != next)
    }

    /// Where a rollover stands.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match (&self.next, self.former().next()) {
            (Some(_), _) => Stage::Staged,
            (None, Some(_)) => Stage::Retiring,
            (None, None) => Stage::Steady,
        }
    }
}
