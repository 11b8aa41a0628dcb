//! The image of Open WebUI: the real server and its page, with the environment of the official image.

use serde_json::json;

use super::{
    Image, OPENWEBUI, OPENWEBUI_NEXT,
    debian::{self, User},
    python::Program,
};

/// The list leaves out what reads documents, pictures and sound: it is not imported before somebody needs it.
const REQUIREMENTS: &str = include_str!("../../images/open-webui.txt");
const START: &str = include_str!("../../images/open-webui.sh");

pub(super) fn image() -> anyhow::Result<Image> {
    let cache = "/app/backend/data/cache";
    let config = json!({
        "Cmd": ["bash", "start.sh"], "WorkingDir": "/app/backend", "ExposedPorts": {"8080/tcp": {}},
        "Env": [
            format!("PATH={}", debian::PATH), "PYTHONPATH=/app/site", "PYTHONDONTWRITEBYTECODE=1",
            // What the official image's folders are to the server, PyPI's package asks for with this.
            "FROM_INIT_PY=true",
            "ENV=prod", "PORT=8080", "DOCKER=true", "HOME=/root", "OLLAMA_BASE_URL=/ollama",
            "SCARF_NO_ANALYTICS=true", "DO_NOT_TRACK=true", "ANONYMIZED_TELEMETRY=false",
            format!("HF_HOME={cache}/embedding/models"), format!("SENTENCE_TRANSFORMERS_HOME={cache}/embedding/models"),
            format!("TIKTOKEN_CACHE_DIR={cache}/tiktoken"),
        ],
    });
    let program = Program {
        stem: "open-webui",
        names: &[OPENWEBUI, OPENWEBUI_NEXT],
        user: User {
            name: "app",
            id: 1000,
            home: "/home/app",
        },
        requirements: REQUIREMENTS,
        config,
        unneeded: &["bin", "open_webui/frontend/pyodide", "open_webui/frontend/wasm"],
        folders: vec!["app/backend", "app/backend/data"],
        files: vec![("app/backend/start.sh", 0o755, START)],
    };
    program.image()
}
