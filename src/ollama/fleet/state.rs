//! Which servers there are, and at which places.

use super::Address;
use super::server::Known;
use crate::kind::ollamamodel::target::Place;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// All servers.
#[derive(Default)]
pub(super) struct State {
    /// By id. Boxed, since the room that a map has to spare is as large as what it keeps.
    pub(super) servers: HashMap<String, Box<Known>>,
    /// Ids of the servers at each place that has some.
    places: HashMap<Place, Vec<String>>,
    /// Turns at a volume.
    volumes: HashMap<String, Arc<Semaphore>>,
}

impl State {
    /// Takes up the servers that are at a place now, with so many turns at each volume; true when one has left it.
    pub(super) fn settle(&mut self, place: &Place, addresses: &[Address], turns: usize) -> bool {
        let now = || addresses.iter().map(|address| &address.id);
        let before = self.places.get(place).map(Vec::as_slice).unwrap_or_default();
        let gone: Vec<String> = before.iter().filter(|id| !now().any(|n| n == *id)).cloned().collect();
        if !before.iter().eq(now()) {
            self.places.insert(place.clone(), now().cloned().collect());
        }
        for address in addresses {
            let volume = self.volumes.entry(address.volume.clone());
            let volume = volume.or_insert_with(|| Arc::new(Semaphore::new(turns)));
            let known = self.servers.entry(address.id.clone());
            let known = known.or_insert_with(|| Box::new(Known::new(address, Arc::clone(volume))));
            if !known.places.contains(place) {
                known.places.push(place.clone());
            }
            if known.address != *address {
                known.moved(address);
            }
        }
        if addresses.is_empty() {
            self.places.remove(place);
        }
        self.leave(place, &gone);
        !gone.is_empty()
    }

    /// Forgets every place but these, with the work there; the places that were forgotten.
    pub(super) fn keep(&mut self, is_kept: impl Fn(&Place) -> bool) -> Vec<Place> {
        let gone: Vec<Place> = self.places.keys().filter(|place| !is_kept(place)).cloned().collect();
        for place in &gone {
            let ids = self.places.remove(place).unwrap_or_default();
            self.leave(place, &ids);
        }
        gone
    }

    /// The servers at a place.
    pub(super) fn at(&self, place: &Place) -> impl Iterator<Item = &Known> {
        let ids = self.places.get(place).into_iter().flatten();
        ids.filter_map(|id| self.servers.get(id).map(|known| &**known))
    }

    /// Ids of the other servers that write to the same volume.
    pub(super) fn neighbours(&self, id: &str) -> Vec<String> {
        let Some(own) = self.servers.get(id) else { return vec![] };
        let all = self.servers.iter();
        let others = all.filter(|(other, known)| *other != id && known.address.volume == own.address.volume);
        others.map(|(other, _)| other.clone()).collect()
    }

    /// A server that is at no place any more is forgotten, and work on it ends. So are the turns at a volume that no server
    /// and no work has a share of.
    fn leave(&mut self, place: &Place, ids: &[String]) {
        for id in ids {
            let Some(known) = self.servers.get_mut(id) else {
                continue;
            };
            known.places.retain(|at| at != place);
            if known.places.is_empty() {
                self.servers.remove(id);
            }
        }
        if !ids.is_empty() {
            self.volumes.retain(|_, turns| Arc::strong_count(turns) > 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(id: &str, volume: &str) -> Address {
        Address {
            id: id.into(),
            pod: id.into(),
            volume: volume.into(),
            url: None,
            start: 0,
            started: false,
        }
    }

    fn stack(name: &str) -> Place {
        Place::Stack("a".into(), name.into())
    }

    fn ids(state: &State, place: &Place) -> Vec<String> {
        state.at(place).map(|known| known.address.id.clone()).collect()
    }

    #[test]
    fn a_server_stays_as_long_as_it_is_at_some_place() {
        let (mut state, one, two) = (State::default(), stack("one"), stack("two"));
        assert!(!state.settle(&one, &[address("x", "v"), address("y", "w")], 1));
        assert!(!state.settle(&two, &[address("y", "w")], 1));
        assert_eq!(ids(&state, &one), ["x", "y"]);
        assert!(!state.settle(&one, &[address("x", "v"), address("y", "w")], 1));
        assert!(state.settle(&one, &[address("x", "v")], 1), "one has left");
        assert_eq!(
            (ids(&state, &one), ids(&state, &two)),
            (vec!["x".into()], vec!["y".into()])
        );
        assert_eq!(state.keep(|place| *place == one), std::slice::from_ref(&two));
        assert!(state.at(&two).next().is_none());
        assert_eq!((state.servers.len(), state.volumes.len()), (1, 1));
        assert!(state.settle(&one, &[], 1));
        assert!(state.servers.is_empty() && state.places.is_empty() && state.volumes.is_empty());
    }

    #[test]
    fn turns_at_a_volume_stay_the_same_while_a_server_has_a_share() {
        let (mut state, place) = (State::default(), stack("one"));
        state.settle(&place, &[address("x", "v"), address("y", "v")], 2);
        let turns = Arc::clone(&state.servers["x"].turns);
        assert!(Arc::ptr_eq(&turns, &state.servers["y"].turns));
        state.settle(&place, &[address("y", "v"), address("z", "v")], 2);
        assert!(Arc::ptr_eq(&turns, &state.servers["z"].turns));
        assert_eq!(turns.available_permits(), 2);
        assert_eq!(state.neighbours("z"), ["y"]);
        state.settle(&place, &[address("z", "v")], 2);
        assert!(state.neighbours("z").is_empty());
    }
}
