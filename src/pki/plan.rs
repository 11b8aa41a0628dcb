//! What to do about the certificates, decided from the Secret, the live bundles and the time. Pure.
//!
//! The state is in the Secret alone, so a crash between any two steps is resumed by whoever looks next. Three things
//! hold at all times, and the tests below look for ways to break them:
//! 1. what a replica serves chains to a certificate in the stored bundle;
//! 2. nobody signs with an authority that the live configurations do not trust yet, unless there is none they trust;
//! 3. no authority leaves the bundle while something that it signed may be served.

use crate::pki::book::{Authority, Book, Certificate, Terms};
use crate::pki::guests;
use jiff::Timestamp;

/// What was found in place of the book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// No Secret, or one without keys, as the chart renders it.
    Blank,
    /// Keys or certificates that cannot be used, and the certificates in it that still can be trusted.
    Broken {
        /// A sentence for people.
        why: String,
        /// What `ca.crt` still holds.
        trusted: Vec<Certificate>,
        /// The last generation that was written.
        generation: u64,
    },
    /// Written in a format that this version does not know: it is read as far as it can be, and never written.
    Foreign {
        /// The name of the format.
        format: String,
        /// What could be read.
        book: Option<Book>,
    },
    /// A book.
    Ours(Book),
}

impl Stored {
    /// The book, whoever wrote it.
    #[must_use]
    pub fn book(&self) -> Option<&Book> {
        match self {
            Self::Ours(book) => Some(book),
            Self::Foreign { book, .. } => book.as_ref(),
            Self::Blank | Self::Broken { .. } => None,
        }
    }

    /// The last generation that is known.
    #[must_use]
    pub fn generation(&self) -> u64 {
        match self {
            Self::Broken { generation, .. } => *generation,
            _ => self.book().map_or(0, |book| book.generation),
        }
    }

    fn trusted(&self) -> &[Certificate] {
        match self {
            Self::Broken { trusted, .. } => trusted,
            _ => self.book().map_or(&[], |book| &book.trusted),
        }
    }
}

/// Everything that is decided from.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The Secret.
    pub stored: &'a Stored,
    /// The bundle of each webhook of ours that exists, as the API server has it.
    pub live: &'a [Vec<Certificate>],
    /// What somebody else put into them and may stay there for now.
    pub guests: &'a [Certificate],
    /// The last good book that this process saw.
    pub memory: Option<&'a Book>,
    /// What this process saw of the next authority in the live bundles.
    pub seen: Option<&'a Sighting>,
    /// When this process last made an authority for want of one.
    pub emergency: Option<Timestamp>,
    /// The wall clock.
    pub now: Timestamp,
}

/// An authority that was in every live bundle at every look of this process since a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    of: Certificate,
    since: Timestamp,
}

/// The sighting after one more look; `None` when a live bundle lacks the next authority, or there is none.
#[must_use]
pub fn sighted(before: Option<Sighting>, book: &Book, live: &[Vec<Certificate>], now: Timestamp) -> Option<Sighting> {
    let next = &book.next.as_ref()?.certificate;
    if !live.iter().all(|bundle| bundle.contains(next)) {
        return None;
    }
    before.filter(|b| b.of == *next).or_else(|| {
        Some(Sighting {
            of: next.clone(),
            since: now,
        })
    })
}

/// What to do. One thing at a time: the next look decides the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Rest,
    /// Nothing yet: an authority was made for want of one a moment ago.
    Hold,
    /// Tell the API server to trust what the book says.
    Inject,
    /// Make an authority, since there is none that can be used.
    Open,
    /// Write what this process remembers.
    Restore,
    /// Make the next authority.
    Stage,
    /// Let the next authority sign.
    Promote,
    /// Write the bundle as it should be: former authorities have had their time, or someone changed it.
    Tidy,
}

impl Action {
    /// Whether the Secret changes.
    #[must_use]
    pub fn writes(self) -> bool {
        !matches!(self, Self::Rest | Self::Hold | Self::Inject)
    }

    /// Whether it can wait a little, so that not all replicas do it at once.
    #[must_use]
    pub fn is_leisurely(self) -> bool {
        matches!(self, Self::Stage | Self::Promote | Self::Tidy)
    }
}

/// The next thing to do.
#[must_use]
pub fn plan(view: &View<'_>, terms: &Terms) -> Action {
    let View {
        stored,
        live,
        seen,
        now,
        ..
    } = *view;
    let book = match stored {
        Stored::Ours(book) => book,
        Stored::Foreign { book, .. } => return book.as_ref().map_or(Action::Rest, |book| injection(book, view)),
        Stored::Blank | Stored::Broken { .. } => return rescue(view, terms),
    };
    if !book.active.certificate.is_valid(now, terms) {
        let next = book
            .next
            .as_ref()
            .is_some_and(|next| next.certificate.is_valid(now, terms));
        return if next { Action::Promote } else { rescue(view, terms) };
    }
    if is_ripe(book, seen, now, terms) && sighted(None, book, live, now).is_some() {
        return Action::Promote;
    }
    if book.trusted != book.tidied(now, terms).trusted || (book.promoted_at.is_none() && book.former().next().is_some())
    {
        return Action::Tidy;
    }
    if book.next.is_none() && book.active.certificate.remaining(now) < terms.stage {
        return Action::Stage;
    }
    injection(book, view)
}

/// What to do when there is no authority that can be used: what this process remembers keeps every served
/// certificate good, a new one does not.
fn rescue(view: &View<'_>, terms: &Terms) -> Action {
    if remembered(view, terms).is_some() {
        return Action::Restore;
    }
    match view.emergency {
        Some(then) if view.now.duration_since(then).abs() < terms.emergency => Action::Hold,
        _ => Action::Open,
    }
}

fn remembered<'a>(view: &View<'a>, terms: &Terms) -> Option<&'a Book> {
    view.memory
        .filter(|book| book.active.certificate.is_valid(view.now, terms))
}

/// Whether the next authority has waited long enough, and was in the live bundles for long enough.
fn is_ripe(book: &Book, seen: Option<&Sighting>, now: Timestamp, terms: &Terms) -> bool {
    let next = book.next.as_ref().map(|next| &next.certificate);
    let seen = seen.filter(|s| Some(&s.of) == next).map(|s| s.since);
    let for_long = |since: Option<Timestamp>, wait| since.is_some_and(|since| now.duration_since(since) >= wait);
    for_long(book.staged_at, terms.promote) && for_long(seen, terms.seen)
}

fn injection(book: &Book, view: &View<'_>) -> Action {
    let settled = |bundle: &Vec<Certificate>| guests::settled(bundle, &book.trusted, view.guests);
    if view.live.iter().all(settled) {
        Action::Rest
    } else {
        Action::Inject
    }
}

/// The book after an action; `None` for one that does not write. `new` makes an authority of a generation.
///
/// # Errors
/// Those of `new`.
pub fn carried_out<E>(
    action: Action,
    view: &View<'_>,
    terms: &Terms,
    new: impl FnOnce(u64) -> Result<Authority, E>,
) -> Result<Option<Book>, E> {
    let now = view.now;
    let generation = view
        .stored
        .generation()
        .max(view.memory.map_or(0, |book| book.generation))
        + 1;
    let book = view.stored.book();
    Ok(match action {
        Action::Rest | Action::Hold | Action::Inject => None,
        Action::Open => Some(Book::opened(new(generation)?, generation, &others(view), now, terms)),
        Action::Restore => remembered(view, terms).map(|book| book.restored(&others(view), now, terms)),
        Action::Stage => match book {
            Some(book) => Some(book.staged(new(generation)?, generation, now, terms)),
            None => None,
        },
        Action::Promote => book.map(|book| book.promoted(now, terms)),
        Action::Tidy => book.map(|book| book.tidied(now, terms)),
    })
}

/// Everyone whose certificates other replicas may be serving when there is no usable book: what is left of the
/// Secret, and what the API server trusts at this moment.
fn others(view: &View<'_>) -> Vec<Certificate> {
    let mut others = view.stored.trusted().to_vec();
    for certificate in view.live.iter().flatten() {
        if !others.contains(certificate) {
            others.push(certificate.clone());
        }
    }
    others
}

/// What a replica serves, as far as renewal is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Who signed it.
    pub issuer: Certificate,
    /// Not valid before.
    pub not_before: Timestamp,
    /// Not valid from here on.
    pub not_after: Timestamp,
}

/// Whether to sign a new serving certificate. `jitter` (-1 to 1) spreads replicas by a tenth of the time.
///
/// A new authority takes over when every live bundle has it, or when the old one is in fact no longer trusted.
#[must_use]
pub fn is_due(leaf: Option<&Leaf>, book: &Book, live: &[Vec<Certificate>], now: Timestamp, jitter: f64) -> bool {
    let Some(leaf) = leaf else { return true };
    if now >= leaf.not_after || now < leaf.not_before {
        return true;
    }
    let trusted = |certificate: &Certificate| live.iter().all(|bundle| bundle.contains(certificate));
    let (issuer, active) = (&leaf.issuer, &book.active.certificate);
    let whole = leaf.not_after.duration_since(leaf.not_before).as_secs_f64();
    let old = leaf.not_after.duration_since(now).as_secs_f64() < whole / 3.0 * (1.0 + jitter / 10.0);
    (old || issuer != active) && (trusted(active) || !trusted(issuer))
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod years;
