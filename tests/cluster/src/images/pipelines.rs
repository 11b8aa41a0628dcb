//! The image of the stand-in for Pipelines, with the entry point and the folders of the real image.

use serde_json::json;

use super::{
    Image, PIPELINES,
    debian::{self, User},
    python::Program,
};

const REQUIREMENTS: &str = include_str!("../../images/pipelines/requirements.txt");

pub(super) fn image() -> anyhow::Result<Image> {
    let config = json!({
        "Cmd": ["bash", "start.sh"], "WorkingDir": "/app", "ExposedPorts": {"9099/tcp": {}},
        "Env": [
            format!("PATH={}", debian::PATH), "PYTHONPATH=/app/site", "PYTHONDONTWRITEBYTECODE=1",
            "PORT=9099", "HOST=0.0.0.0",
        ],
    });
    let program = Program {
        stem: "pipelines",
        names: &[PIPELINES],
        user: User {
            name: "app",
            id: 1000,
            home: "/home/app",
        },
        requirements: REQUIREMENTS,
        config,
        unneeded: &["bin"],
        folders: vec!["app/pipelines"],
        files: vec![
            ("app/start.sh", 0o755, include_str!("../../images/pipelines/start.sh")),
            ("app/main.py", 0o644, include_str!("../../images/pipelines/main.py")),
        ],
    };
    program.image()
}
