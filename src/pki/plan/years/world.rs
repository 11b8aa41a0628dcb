//! A few replicas that share a Secret, each with its own view of it and its own memory.

use super::super::*;
use crate::pki::book::Key;
use crate::pki::guests::Guests;
use jiff::SignedDuration;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::VecDeque;
use std::convert::Infallible;

/// How far behind a replica's view of the cluster may be; the day in `Terms::retire` is for this.
const STALE: SignedDuration = SignedDuration::from_hours(12);

#[derive(Clone)]
pub(super) struct Cluster {
    pub(super) stored: Stored,
    pub(super) live: Vec<Vec<Certificate>>,
}

#[derive(Default)]
pub(super) struct Replica {
    pub(super) memory: Option<Book>,
    pub(super) guests: Guests,
    pub(super) welcome: Vec<Certificate>,
    pub(super) seen: Option<Sighting>,
    pub(super) emergency: Option<Timestamp>,
    pub(super) leaf: Option<Leaf>,
    /// Serves, but neither sees nor does anything else until then.
    pub(super) away: Option<Timestamp>,
    pub(super) looked: Option<Timestamp>,
}

impl Replica {
    pub(super) fn is_away(&self, now: Timestamp) -> bool {
        self.away.is_some_and(|until| now < until)
    }
}

pub(super) struct World {
    pub(super) now: Timestamp,
    pub(super) terms: Terms,
    pub(super) cluster: Cluster,
    pub(super) history: VecDeque<(Timestamp, Cluster)>,
    pub(super) replicas: Vec<Replica>,
    /// Every authority that was made because there was none: it signs before it is trusted.
    pub(super) emergencies: Vec<Certificate>,
    pub(super) made: u64,
    pub(super) promotions: u64,
    pub(super) random: StdRng,
    /// Nobody broke anything since all was well.
    pub(super) calm: bool,
}

impl World {
    pub(super) fn new(replicas: usize, seed: u64) -> Self {
        let cluster = Cluster {
            stored: Stored::Blank,
            live: vec![vec![], vec![]],
        };
        let mut world = Self {
            now: Timestamp::from_second(1_800_000_000).unwrap(),
            terms: Terms::default(),
            cluster,
            history: VecDeque::new(),
            replicas: (0..replicas).map(|_| Replica::default()).collect(),
            emergencies: vec![],
            made: 0,
            promotions: 0,
            random: StdRng::seed_from_u64(seed),
            calm: true,
        };
        world.settle();
        world
    }

    fn authority(&mut self) -> Authority {
        self.made += 1;
        let certificate = Certificate {
            der: self.made.to_be_bytes().to_vec(),
            not_before: self.now - self.terms.skew,
            not_after: self.now + self.terms.authority,
        };
        Authority {
            certificate,
            key: Key(vec![]),
        }
    }

    pub(super) fn pass(&mut self, time: SignedDuration) {
        self.history.push_back((self.now, self.cluster.clone()));
        self.now += time;
        while self
            .history
            .front()
            .is_some_and(|(then, _)| self.now.duration_since(*then) > STALE)
        {
            self.history.pop_front();
        }
    }

    /// One look of a replica: at the cluster as it was a while ago, and again as it is before it changes anything.
    pub(super) fn look(&mut self, index: usize, stale: bool, crash: bool) {
        let behind = if stale {
            self.random.random_range(0..=self.history.len())
        } else {
            0
        };
        let cached = match behind {
            0 => self.cluster.clone(),
            back => self.history[self.history.len() - back].1.clone(),
        };
        self.note(index, &cached);
        self.replicas[index].looked = Some(self.now);
        if !matches!(self.decide(index, &cached), Action::Rest | Action::Hold) {
            let fresh = self.cluster.clone();
            self.note(index, &fresh);
            let action = self.decide(index, &fresh);
            if crash {
                self.replicas[index] = Replica::default();
                return;
            }
            self.perform(index, action, &fresh);
        }
        self.renew(index, &cached);
    }

    fn note(&mut self, index: usize, cluster: &Cluster) {
        let now = self.now;
        let replica = &mut self.replicas[index];
        let before = replica.seen.take();
        if let Some(book) = cluster.stored.book() {
            replica.seen = sighted(before, book, &cluster.live, now);
            replica.welcome = replica.guests.meet(&book.trusted, &cluster.live, now);
            replica.memory = Some(book.clone());
        }
    }

    pub(super) fn view<'a>(&'a self, index: usize, cluster: &'a Cluster) -> View<'a> {
        let Replica {
            memory,
            seen,
            emergency,
            welcome,
            ..
        } = &self.replicas[index];
        let (memory, seen, emergency) = (memory.as_ref(), seen.as_ref(), *emergency);
        View {
            stored: &cluster.stored,
            live: &cluster.live,
            guests: welcome,
            memory,
            seen,
            emergency,
            now: self.now,
        }
    }

    pub(super) fn decide(&self, index: usize, cluster: &Cluster) -> Action {
        plan(&self.view(index, cluster), &self.terms)
    }

    fn perform(&mut self, index: usize, action: Action, fresh: &Cluster) {
        match action {
            Action::Rest | Action::Hold => return,
            Action::Inject => {
                let trusted = fresh.stored.book().unwrap().trusted.clone();
                let guests = &self.replicas[index].welcome;
                for bundle in &mut self.cluster.live {
                    *bundle = guests::bundle(bundle, &trusted, guests);
                }
                return;
            }
            Action::Open => self.replicas[index].emergency = Some(self.now),
            Action::Promote => {
                self.promotions += 1;
                let book = fresh.stored.book().unwrap();
                let next = &book.next.as_ref().unwrap().certificate;
                let trusted = fresh.live.iter().all(|bundle| bundle.contains(next));
                let waited = book
                    .staged_at
                    .is_some_and(|then| self.now.duration_since(then) >= self.terms.promote);
                let forced = !book.active.certificate.is_valid(self.now, &self.terms);
                assert!(
                    forced || (trusted && waited),
                    "2: promoted before it was trusted for long"
                );
            }
            Action::Restore | Action::Stage | Action::Tidy => {}
        }
        let new = self.authority();
        if action == Action::Open {
            self.emergencies.push(new.certificate.clone());
        }
        let made = |_| Ok::<_, Infallible>(new);
        let Ok(book) = carried_out(action, &self.view(index, fresh), &self.terms, made);
        self.cluster.stored = Stored::Ours(book.unwrap());
    }

    fn renew(&mut self, index: usize, cached: &Cluster) {
        let Some(book) = cached.stored.book().cloned() else {
            return;
        };
        let jitter = self.random.random_range(-1.0..=1.0);
        let leaf = self.replicas[index].leaf.as_ref();
        if !is_due(leaf, &book, &cached.live, self.now, jitter) {
            return;
        }
        let issuer = book.active.certificate;
        if !issuer.is_valid(self.now, &self.terms) {
            return;
        }
        let trusted = self.cluster.live.iter().all(|bundle| bundle.contains(&issuer));
        assert!(
            trusted || !self.calm || self.emergencies.contains(&issuer),
            "2: signed before it was trusted"
        );
        let not_after = (self.now + self.terms.leaf).min(issuer.not_after);
        self.replicas[index].leaf = Some(Leaf {
            issuer,
            not_before: self.now - self.terms.skew,
            not_after,
        });
    }
}
