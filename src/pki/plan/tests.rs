//! Single decisions.

use super::*;
use crate::pki::book::Key;
use jiff::SignedDuration;
use std::convert::Infallible;

fn moment() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn authority(name: &str, from: Timestamp) -> Authority {
    let (not_before, not_after) = (from - Terms::default().skew, from + Terms::default().authority);
    Authority {
        certificate: Certificate {
            der: name.into(),
            not_before,
            not_after,
        },
        key: Key(vec![]),
    }
}

fn opened() -> Book {
    Book::opened(authority("one", moment()), 1, &[], moment(), &Terms::default())
}

fn decide(stored: &Stored, live: &[Vec<Certificate>], memory: Option<&Book>, now: Timestamp) -> Action {
    plan(
        &View {
            stored,
            live,
            guests: &[],
            memory,
            seen: None,
            emergency: None,
            now,
        },
        &Terms::default(),
    )
}

#[test]
fn an_empty_secret_gets_an_authority_and_a_lost_one_is_written_back() {
    let book = opened();
    let live = vec![book.trusted.clone()];
    assert_eq!(decide(&Stored::Blank, &live, None, moment()), Action::Open);
    assert_eq!(decide(&Stored::Blank, &live, Some(&book), moment()), Action::Restore);
    let late = moment() + Terms::default().authority;
    assert_eq!(decide(&Stored::Blank, &live, Some(&book), late), Action::Open);
    assert_eq!(decide(&Stored::Ours(book), &live, None, late), Action::Open);
}

#[test]
fn what_the_api_server_still_trusts_stays_trusted_when_the_secret_is_lost() {
    let lost = opened();
    let live = vec![lost.trusted.clone()];
    let now = moment();
    let view = View {
        stored: &Stored::Blank,
        live: &live,
        guests: &[],
        memory: None,
        seen: None,
        emergency: None,
        now,
    };
    let new = |_| Ok::<_, Infallible>(authority("two", now));
    let book = carried_out(Action::Open, &view, &Terms::default(), new)
        .unwrap()
        .unwrap();
    assert_eq!(
        book.trusted,
        [authority("two", now).certificate, lost.active.certificate]
    );
}

#[test]
fn the_next_authority_waits_for_a_day_and_for_every_bundle() {
    let terms = Terms::default();
    let staged = opened().staged(authority("two", moment()), 2, moment(), &terms);
    let both = vec![staged.trusted.clone(), staged.trusted.clone()];
    let one = vec![staged.trusted.clone(), opened().trusted];
    let stored = Stored::Ours(staged.clone());
    let at = |hours: i64, minutes: i64| moment() + SignedDuration::from_mins(hours * 60 + minutes);
    let decide = |live: &[Vec<Certificate>], seen: Option<&Sighting>, now| {
        plan(
            &View {
                stored: &stored,
                live,
                guests: &[],
                memory: None,
                seen,
                emergency: None,
                now,
            },
            &terms,
        )
    };
    let early = sighted(None, &staged, &both, at(0, 0));
    assert_eq!(decide(&both, early.as_ref(), at(23, 59)), Action::Rest);
    assert_eq!(decide(&both, early.as_ref(), at(24, 0)), Action::Promote);
    assert_eq!(decide(&one, early.as_ref(), at(24, 0)), Action::Inject);
    let late = sighted(None, &staged, &both, at(24, 0));
    assert_eq!(decide(&both, late.as_ref(), at(24, 9)), Action::Rest);
    let again = sighted(late, &staged, &both, at(24, 9));
    assert_eq!(decide(&both, again.as_ref(), at(24, 10)), Action::Promote);
    assert_eq!(
        sighted(again, &staged, &one, at(24, 10)),
        None,
        "a bundle that lost it starts the wait anew"
    );
    // A process that was just started has seen nothing yet.
    assert_eq!(decide(&both, None, at(48, 0)), Action::Rest);
}

#[test]
fn authorities_are_not_made_in_a_storm() {
    let now = moment();
    let view = |emergency| View {
        stored: &Stored::Blank,
        live: &[],
        guests: &[],
        memory: None,
        seen: None,
        emergency,
        now,
    };
    assert_eq!(
        plan(&view(Some(now - SignedDuration::from_secs(59))), &Terms::default()),
        Action::Hold
    );
    assert_eq!(
        plan(&view(Some(now - SignedDuration::from_secs(60))), &Terms::default()),
        Action::Open
    );
    // A clock that was set back must not hold things up for long.
    assert_eq!(
        plan(&view(Some(now + SignedDuration::from_hours(9))), &Terms::default()),
        Action::Open
    );
}

#[test]
fn a_bundle_that_someone_wiped_is_injected_again() {
    let book = opened();
    let live = vec![book.trusted.clone(), vec![]];
    assert_eq!(decide(&Stored::Ours(book), &live, None, moment()), Action::Inject);
}

#[test]
fn a_format_of_a_newer_version_is_used_and_never_written() {
    let book = opened();
    let foreign = |book| Stored::Foreign {
        format: "2".into(),
        book,
    };
    assert_eq!(
        decide(&foreign(Some(book.clone())), &[vec![]], None, moment()),
        Action::Inject
    );
    let late = moment() + SignedDuration::from_hours(300 * 24);
    assert_eq!(
        decide(
            &foreign(Some(book.clone())),
            std::slice::from_ref(&book.trusted),
            None,
            late
        ),
        Action::Rest
    );
    assert_eq!(decide(&foreign(None), &[vec![]], Some(&book), moment()), Action::Rest);
}

#[test]
fn a_clock_a_little_behind_the_one_that_made_the_authority_is_borne_with() {
    let book = opened();
    let live = vec![book.trusted.clone()];
    let behind = moment() - SignedDuration::from_hours(2);
    assert_eq!(decide(&Stored::Ours(book), &live, None, behind), Action::Rest);
}

#[test]
fn an_authority_put_there_by_hand_is_taken_over_with_its_bundle_mended() {
    let mut book = opened();
    book.active = authority("by hand", moment());
    book.promoted_at = None;
    let live = vec![book.trusted.clone()];
    assert_eq!(decide(&Stored::Ours(book.clone()), &live, None, moment()), Action::Tidy);
    let tidied = book.tidied(moment(), &Terms::default());
    assert_eq!(tidied.trusted.len(), 2);
    // Until the API server trusts it, what is served goes on being signed by the one that it does trust.
    let leaf = Leaf {
        issuer: opened().active.certificate,
        not_before: moment() - SignedDuration::from_hours(1),
        not_after: moment() + Terms::default().leaf,
    };
    assert!(!is_due(Some(&leaf), &tidied, &live, moment(), 0.0));
    assert!(is_due(
        Some(&leaf),
        &tidied,
        std::slice::from_ref(&tidied.trusted),
        moment(),
        0.0
    ));
}
