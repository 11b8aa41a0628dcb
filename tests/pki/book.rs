//! What is written into the Secret of the authority, and what is read back from one that somebody has changed.

use super::*;
use jiff::SignedDuration;
use proptest::prelude::*;

#[test]
fn a_book_reads_back_as_it_was_written_at_every_stage() {
    let terms = Terms::default();
    let staged = book().staged(authority(2), 2, now(), &terms);
    let promoted = staged.promoted(now() + SignedDuration::from_hours(30), &terms);
    for book in [book(), staged, promoted] {
        assert_eq!(read(&written(&book)), Stored::Ours(book));
    }
}

#[test]
fn a_write_keeps_everything_else_in_the_secret() {
    let mut existing = written(&book().staged(authority(2), 2, now(), &Terms::default()));
    existing.metadata.resource_version = Some("41".into());
    existing.metadata.labels = Some([("app".into(), "x".into())].into());
    existing
        .metadata
        .annotations
        .as_mut()
        .unwrap()
        .insert("meta.helm.sh/release-name".into(), "r".into());
    let over = secret::write(Some(existing.clone()), "ca", &service(), &book());
    assert_eq!(over.metadata.resource_version, existing.metadata.resource_version);
    assert_eq!(over.metadata.labels, existing.metadata.labels);
    assert!(
        over.metadata
            .annotations
            .as_ref()
            .unwrap()
            .contains_key("meta.helm.sh/release-name")
    );
    assert!(
        !over.data.unwrap().contains_key("next.key"),
        "the key of an authority that is no longer next is gone"
    );
    assert!(
        !over
            .metadata
            .annotations
            .unwrap()
            .contains_key("llm.geeper.io/staged-at")
    );
}

#[test]
fn a_secret_as_the_chart_renders_it_is_blank() {
    assert_eq!(secret::read(None, &service(), &Terms::default()), Stored::Blank);
    assert_eq!(read(&Secret::default()), Stored::Blank);
    let mut emptied = written(&book());
    set(&mut emptied, "tls.crt", "");
    set(&mut emptied, "tls.key", "");
    assert_eq!(read(&emptied), Stored::Blank);
}

#[test]
fn what_cannot_vouch_for_our_service_is_broken_and_its_trust_is_kept() {
    let good = book();
    let pem = |a: &Authority| x509::write_bundle(std::slice::from_ref(&a.certificate));
    let elsewhere = Service {
        namespace: "restored-elsewhere".into(),
        ..service()
    };
    let foreign = x509::authority(&elsewhere, 1, now(), &Terms::default()).unwrap();
    let no_authority = rcgen::generate_simple_self_signed([service().host()]).unwrap();
    let cases: [(&str, Vec<u8>, Vec<u8>, &str); 6] = [
        ("no key", pem(&good.active).into(), vec![], "the key cannot be read"),
        (
            "no PEM",
            b"\xff\x00".to_vec(),
            x509::write_key(&good.active.key).into(),
            "no certificate",
        ),
        (
            "another's key",
            pem(&good.active).into(),
            x509::write_key(&authority(2).key).into(),
            "cannot vouch",
        ),
        (
            "another's name",
            pem(&foreign).into(),
            x509::write_key(&foreign.key).into(),
            "cannot vouch",
        ),
        (
            "no authority",
            no_authority.cert.pem().into(),
            no_authority.signing_key.serialize_pem().into(),
            "not one of an authority",
        ),
        (
            "cut",
            pem(&good.active).into(),
            x509::write_key(&good.active.key)[..100].into(),
            "the key cannot be read",
        ),
    ];
    for (case, crt, key, words) in cases {
        let mut broken = written(&good);
        set(&mut broken, "tls.crt", crt);
        set(&mut broken, "tls.key", key);
        let Stored::Broken {
            why,
            trusted,
            generation,
        } = read(&broken)
        else {
            panic!("{case}: {:?}", read(&broken))
        };
        assert!(why.contains(words), "{case}: {why}");
        assert_eq!((trusted, generation), (good.trusted.clone(), 1), "{case}");
    }
}

#[test]
fn a_next_authority_that_cannot_be_used_is_as_good_as_none() {
    let mut secret = written(&book().staged(authority(2), 2, now(), &Terms::default()));
    set(&mut secret, "next.key", "rubbish");
    let Stored::Ours(read) = read(&secret) else { panic!() };
    assert_eq!(read.next, None);
    assert_eq!(
        read.former().count(),
        1,
        "it stays trusted for a while, since nobody knows who used it"
    );
}

#[test]
fn another_format_is_read_as_far_as_possible() {
    let mut newer = written(&book());
    newer
        .metadata
        .annotations
        .as_mut()
        .unwrap()
        .insert("llm.geeper.io/pki-format".into(), "2".into());
    assert_eq!(
        read(&newer),
        Stored::Foreign {
            format: "2".into(),
            book: Some(book_of(&newer))
        }
    );
    newer.data = None;
    assert_eq!(
        read(&newer),
        Stored::Foreign {
            format: "2".into(),
            book: None
        }
    );
}

fn book_of(secret: &Secret) -> Book {
    let mut ours = secret.clone();
    ours.metadata
        .annotations
        .as_mut()
        .unwrap()
        .insert("llm.geeper.io/pki-format".into(), "1".into());
    let Stored::Ours(book) = read(&ours) else { panic!() };
    book
}

proptest! {
    #[test]
    fn no_secret_makes_reading_panic(
        crt in prop::collection::vec(any::<u8>(), 0..80),
        key in "(-----BEGIN PRIVATE KEY-----\n)?[A-Za-z0-9+/=\n]{0,80}(-----END PRIVATE KEY-----\n)?",
        cut in 0..900usize,
        note in ".{0,20}",
    ) {
        let mut secret = written(&fixed());
        let whole = secret.data.as_ref().unwrap()["tls.crt"].0.clone();
        set(&mut secret, "next.crt", crt.clone());
        set(&mut secret, "tls.crt", [&whole[..cut.min(whole.len())], &crt].concat());
        set(&mut secret, "tls.key", key);
        set(&mut secret, "ca.crt", crt);
        for value in secret.metadata.annotations.as_mut().unwrap().values_mut() {
            value.clone_from(&note);
        }
        read(&secret);
    }
}

/// Keys take time to make; one is enough for the property above.
fn fixed() -> Book {
    static BOOK: std::sync::OnceLock<Book> = std::sync::OnceLock::new();
    BOOK.get_or_init(book).clone()
}
