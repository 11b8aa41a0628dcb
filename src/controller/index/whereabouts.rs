//! Where each model is, sorted by place: news of one server are no matter of every model of the cluster.

use crate::kind::ollamamodel::Place;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Bound;

/// Namespace and name of an object.
pub(in crate::controller) type Name = (String, String);

/// Every model that can be read and names a place.
#[derive(Default)]
pub(super) struct Whereabouts {
    sites: BTreeMap<Name, Site>,
    /// Smallest name first at each place.
    by_place: BTreeSet<(Place, Name)>,
}

/// What is known of a model by which it is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::controller) struct Site {
    /// Where its servers are.
    pub(in crate::controller) place: Place,
    /// Keys of the models that it needs there.
    pub(in crate::controller) needs: Vec<String>,
}

impl Whereabouts {
    /// Notes where a model is, or that it is nowhere; the places at which that is new.
    pub(super) fn put(&mut self, name: Name, site: Option<Site>) -> BTreeSet<Place> {
        let before = match &site {
            Some(site) => self.sites.insert(name.clone(), site.clone()),
            None => self.sites.remove(&name),
        };
        if before == site {
            return BTreeSet::new();
        }
        if let Some(before) = &before {
            self.by_place.remove(&(before.place.clone(), name.clone()));
        }
        if let Some(site) = &site {
            self.by_place.insert((site.place.clone(), name));
        }
        before.into_iter().chain(site).map(|site| site.place).collect()
    }

    /// Drops every model but these; the places that they were at.
    pub(super) fn keep(&mut self, is_kept: impl Fn(&Name) -> bool) -> BTreeSet<Place> {
        let gone: Vec<Name> = self.sites.keys().filter(|name| !is_kept(name)).cloned().collect();
        gone.into_iter().flat_map(|name| self.put(name, None)).collect()
    }

    /// The models at a place, or those of them that need the model with that key.
    pub(super) fn at(&self, place: &Place, key: Option<&str>) -> Vec<Name> {
        let here = self.from(place.clone()).take_while(|(at, _)| at == place);
        let meant = |name: &Name| key.is_none_or(|key| self.needs(name).iter().any(|need| need == key));
        here.map(|(_, name)| name).filter(|name| meant(name)).cloned().collect()
    }

    /// The models at any port of a Service.
    pub(super) fn of_service(&self, namespace: &str, service: &str) -> Vec<Name> {
        let first = Place::Service(namespace.into(), service.into(), None);
        let is_meant =
            |place: &Place| matches!(place, Place::Service(ns, name, _) if ns == namespace && name == service);
        let all = self.from(first).take_while(|(place, _)| is_meant(place));
        all.map(|(_, name)| name.clone()).collect()
    }

    /// The models that need that one on servers which may be those of the place.
    pub(super) fn near(&self, place: &Place, key: &str) -> Vec<Name> {
        let (Place::Stack(namespace, _) | Place::Service(namespace, ..)) = place else {
            return self.at(place, Some(key));
        };
        let namespace = namespace.clone();
        // Of one namespace, and no further: stacks and Services lie apart.
        let stacks = self.from(Place::Stack(namespace.clone(), String::new()));
        let stacks = stacks.take_while(|(at, _)| matches!(at, Place::Stack(ns, _) if *ns == namespace));
        let services = self.from(Place::Service(namespace.clone(), String::new(), None));
        let services = services.take_while(|(at, _)| matches!(at, Place::Service(ns, ..) if *ns == namespace));
        let near = stacks.chain(services).filter(|(at, _)| at.may_share(place));
        let names = near.map(|(_, name)| name);
        names
            .filter(|name| self.needs(name).iter().any(|need| need == key))
            .cloned()
            .collect()
    }

    /// Keys of the models that somebody needs at a place.
    pub(super) fn wanted(&self, place: &Place) -> HashSet<&str> {
        let here = self.from(place.clone()).take_while(|(at, _)| at == place);
        here.flat_map(|(_, name)| self.needs(name))
            .map(String::as_str)
            .collect()
    }

    fn from(&self, first: Place) -> impl Iterator<Item = &(Place, Name)> {
        let first = Bound::Included((first, Name::default()));
        self.by_place.range((first, Bound::Unbounded))
    }

    fn needs(&self, name: &Name) -> &[String] {
        self.sites.get(name).map(|site| &*site.needs).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        let (namespace, name) = text.split_once('/').unwrap();
        (namespace.into(), name.into())
    }

    fn stack(text: &str) -> Place {
        let (namespace, name) = name(text);
        Place::Stack(namespace, name)
    }

    fn service(text: &str, port: i32) -> Place {
        let (namespace, name) = name(text);
        Place::Service(namespace, name, Some(port))
    }

    fn known() -> Whereabouts {
        let mut all = Whereabouts::default();
        let models = [
            ("a/one", stack("a/chat"), "tiny"),
            ("a/two", stack("a/chat"), "large"),
            ("a/three", stack("a/code"), "tiny"),
            ("a/four", service("a/ollama", 1), "tiny"),
            ("a/five", service("a/ollama", 2), "tiny"),
            ("b/six", stack("b/chat"), "tiny"),
            ("b/seven", service("b/ollama", 1), "tiny"),
        ];
        for (of, place, need) in models {
            let needs = vec![need.to_string()];
            all.put(name(of), Some(Site { place, needs }));
        }
        all
    }

    fn names(of: &[Name]) -> Vec<String> {
        let mut names: Vec<String> = of.iter().map(|(ns, name)| format!("{ns}/{name}")).collect();
        names.sort();
        names
    }

    #[test]
    fn a_model_is_found_where_it_is_and_nowhere_else() {
        let all = known();
        assert_eq!(names(&all.at(&stack("a/chat"), None)), ["a/one", "a/two"]);
        assert_eq!(names(&all.at(&stack("a/chat"), Some("tiny"))), ["a/one"]);
        assert!(all.at(&stack("a/cha"), None).is_empty());
        assert_eq!(names(&all.of_service("a", "ollama")), ["a/five", "a/four"]);
        assert!(all.of_service("a", "chat").is_empty());
        assert_eq!(all.wanted(&stack("a/chat")), HashSet::from(["tiny", "large"]));
    }

    #[test]
    fn only_services_of_the_namespace_may_have_the_servers_of_a_stack() {
        let all = known();
        let near = |place: &Place| names(&all.near(place, "tiny"));
        assert_eq!(near(&stack("a/chat")), ["a/five", "a/four", "a/one"]);
        assert_eq!(near(&service("a/other", 1)), ["a/five", "a/four", "a/one", "a/three"]);
        assert_eq!(near(&stack("b/none")), ["b/seven"]);
        assert!(near(&stack("c/chat")).is_empty());
    }

    #[test]
    fn what_has_moved_or_gone_is_told_once() {
        let mut all = known();
        let site = |place: Place| {
            let needs = vec!["tiny".to_string()];
            Some(Site { place, needs })
        };
        assert!(all.put(name("a/one"), site(stack("a/chat"))).is_empty());
        let moved = all.put(name("a/one"), site(stack("a/code")));
        assert_eq!(moved, BTreeSet::from([stack("a/chat"), stack("a/code")]));
        assert_eq!(names(&all.at(&stack("a/chat"), None)), ["a/two"]);
        assert_eq!(all.put(name("a/two"), None), BTreeSet::from([stack("a/chat")]));
        assert!(all.put(name("a/two"), None).is_empty());
        let gone = all.keep(|(namespace, _)| namespace == "b");
        assert!(gone.contains(&stack("a/code")) && gone.len() == 3, "{gone:?}");
        assert!(all.near(&stack("a/chat"), "tiny").is_empty());
    }
}
