//! Redis and PostgreSQL with pgvector, of Debian's packages, in the manner of the official images.

use std::path::Path;

use serde_json::{Value, json};

use super::{
    Image, POSTGRES, REDIS, archive, cache,
    debian::{self, User},
    layer::Layer,
};

/// What both have besides the server: a shell with the usual tools.
const TOOLS: &str = "base-files,coreutils,dash,findutils,grep,libc6,sed";
const RECIPE: &str = include_str!("servers.rs");
const POSTGRES_START: &str = include_str!("../../images/postgres.sh");

/// Redis as `redis-server` on the path, its data in `/data`.
pub(super) fn redis() -> anyhow::Result<Image> {
    let config = json!({
        "Cmd": ["redis-server"], "WorkingDir": "/data", "User": "999:999", "Env": [format!("PATH={}", debian::PATH)],
        "ExposedPorts": {"6379/tcp": {}}, "Volumes": {"/data": {}},
    });
    let server = Server {
        name: REDIS,
        suite: "bookworm",
        packages: "redis-server",
        user: User {
            name: "redis",
            id: 999,
            home: "/data",
        },
        config,
        keep: debian::needed,
    };
    server.image("redis", |layer| layer.folder("data", 0o755))
}

/// PostgreSQL with the variables of the official image. Debian's programs on the path are wrappers in Perl, so the
/// folder of the version stands before them.
pub(super) fn postgres() -> anyhow::Result<Image> {
    let config = json!({
        "Entrypoint": ["docker-entrypoint.sh"], "Cmd": ["postgres"], "User": "999:999", "StopSignal": "SIGINT",
        "Env": [
            format!("PATH=/usr/local/bin:/usr/lib/postgresql/17/bin:{}", debian::PATH),
            "PGDATA=/var/lib/postgresql/data", "LANG=C.UTF-8", "PG_MAJOR=17",
        ],
        "ExposedPorts": {"5432/tcp": {}}, "Volumes": {"/var/lib/postgresql/data": {}},
    });
    let server = Server {
        name: POSTGRES,
        suite: "trixie", // the first with pgvector
        packages: "postgresql-17,postgresql-17-pgvector,libc-bin",
        user: User {
            name: "postgres",
            id: 999,
            home: "/var/lib/postgresql",
        },
        config,
        keep: needed_by_postgres,
    };
    server.image("postgres", |layer| {
        for folder in ["var/lib/postgresql", "var/lib/postgresql/data", "var/run/postgresql"] {
            layer.folder(folder, 0o755)?;
        }
        layer.file("usr/local/bin/docker-entrypoint.sh", 0o755, POSTGRES_START.as_bytes())
    })
}

/// Without its compiler of queries, which is three quarters of it and changes no answer.
fn needed_by_postgres(path: &str) -> bool {
    const UNNEEDED: [&str; 8] = [
        "usr/lib/postgresql/17/lib/bitcode",
        "usr/lib/postgresql/17/lib/llvmjit",
        "usr/lib/llvm",
        "usr/lib/x86_64-linux-gnu/libLLVM",
        "usr/lib/aarch64-linux-gnu/libLLVM",
        "usr/lib/x86_64-linux-gnu/libz3",
        "usr/share/i18n",
        "usr/share/perl",
    ];
    let zones = path.starts_with("usr/share/zoneinfo") && !path.contains("/right") && !path.contains("/posix");
    zones || (debian::needed(path) && !UNNEEDED.iter().any(|unneeded| path.starts_with(unneeded)))
}

struct Server {
    name: &'static str,
    suite: &'static str,
    packages: &'static str,
    user: User,
    config: Value,
    keep: fn(&str) -> bool,
}

impl Server {
    fn image(&self, stem: &str, finish: impl FnOnce(&mut Layer) -> anyhow::Result<()>) -> anyhow::Result<Image> {
        let parts = [self.name, debian::RECIPE, POSTGRES_START].map(str::as_bytes);
        let archive = cache::archive(stem, RECIPE, &parts, |out| {
            let scratch = tempfile::tempdir_in(out.parent().unwrap_or(Path::new(".")))?;
            debian::unpack(self.suite, &format!("{},{TOOLS}", self.packages), scratch.path())?;
            if stem == "postgres" {
                listen_on_all(scratch.path())?;
            }
            archive::write(&[self.name], &self.config, out, |layer| {
                layer.tree(scratch.path(), &self.keep)?;
                debian::complete(layer, scratch.path(), &self.user)?;
                finish(layer)
            })
        })?;
        Ok(Image {
            name: self.name.to_owned(),
            archive,
        })
    }
}

/// As the official image has it.
fn listen_on_all(root: &Path) -> anyhow::Result<()> {
    let sample = root.join("usr/share/postgresql/17/postgresql.conf.sample");
    let text = std::fs::read_to_string(&sample)?;
    std::fs::write(&sample, format!("{text}\nlisten_addresses = '*'\n"))?;
    Ok(())
}
