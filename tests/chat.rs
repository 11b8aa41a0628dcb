//! Chat on a real node: the real Open WebUI, Redis and PostgreSQL with pgvector, real Ollama. Pipelines' place is taken
//! by a stand-in that loads real pipelines (`tests/cluster/images/pipelines`).

mod live;

#[path = "chat/alone.rs"]
mod alone;
#[path = "support/arrows.rs"]
mod arrows;
#[path = "chat/client.rs"]
mod client;
#[path = "chat/life.rs"]
mod life;
#[path = "chat/many.rs"]
mod many;
#[path = "chat/pipelines.rs"]
mod pipelines;
#[path = "chat/policies.rs"]
mod policies;
#[path = "chat/s3.rs"]
mod s3;
#[path = "chat/web.rs"]
mod web;

use anyhow::{Context, Result};
use cluster::packages::{self, Need};
use cluster::test::Suite;
use cluster::{Kind, images};
use live::LIMIT;
use live::objects::{condition, is_observed};
use live::stage::Stage;
use serde_json::{Value, json};
use std::process::ExitCode;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

fn main() -> ExitCode {
    let suite = Suite::new()
        .test("several_share_everything", Kind::Node, many::several_share_everything)
        .test(
            "what_is_switched_off_is_found_again",
            Kind::Node,
            alone::what_is_switched_off_is_found_again,
        )
        .test(
            "the_page_rules_or_the_manifest_does",
            Kind::Node,
            alone::the_page_rules_or_the_manifest_does,
        )
        .test(
            "pipelines_see_every_question",
            Kind::Node,
            pipelines::pipelines_see_every_question,
        )
        .test(
            "pods_reach_whom_the_page_says",
            Kind::Node,
            policies::pods_reach_whom_the_page_says,
        )
        .test(
            "uploads_are_in_a_bucket_and_nowhere_else",
            Kind::Node,
            s3::uploads_are_in_a_bucket_and_nowhere_else,
        )
        .test(
            "a_whole_stack_lives_and_leaves_its_data",
            Kind::Node,
            life::a_whole_stack_lives_and_leaves_its_data,
        );
    // Each start of Open WebUI takes a processor for ten seconds.
    suite.one_by_one().run()
}

/// A place for a test, in a node that has the images of chat.
async fn stage(test: &str) -> Result<Stage> {
    static LOADED: OnceCell<()> = OnceCell::const_new();
    let stage = Stage::shared(test).await?;
    LOADED
        .get_or_try_init(async || {
            let made = spawn_blocking(|| {
                packages::require(Need::PythonImages)?;
                let made = [
                    images::redis()?,
                    images::postgres()?,
                    images::openwebui()?,
                    images::pipelines()?,
                ];
                anyhow::Ok(made)
            });
            for image in made.await?? {
                let archive = image.archive.to_str().context("the image's path is not UTF-8")?;
                stage.cluster().load(archive).await?;
            }
            anyhow::Ok(())
        })
        .await?;
    Ok(stage)
}

/// The stack `chat` once it is Ready. Five large programs start one after another on what may be two busy cores.
async fn ready(stage: &Stage) -> Result<Value> {
    let is = |stack: &Value| is_observed(stack) && condition(stack, "Ready").0 == "True";
    let check = async || Ok(stage.find("LMDeployment", "chat").await?.filter(&is));
    stage.namespace.until("the stack is Ready", 3 * LIMIT, check).await
}

/// A stack with the tiny models and these fields of Open WebUI.
fn spec(stage: &Stage, openwebui: &Value) -> Value {
    let mut block = json!({"enabled": true});
    llm_operator::base::object::merge(&mut block, openwebui.clone());
    json!({"ollama": {"drainSeconds": 0, "models": [stage.item("tiny")]}, "openwebui": block})
}

/// A Secret with these keys.
async fn secret(stage: &Stage, name: &str, keys: &Value) -> Result<()> {
    let manifest = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": keys});
    stage.namespace.apply(&manifest.to_string()).await.map(drop)
}
