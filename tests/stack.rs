//! Stacks on a real node, from the manifest to the model's answer: the operator's image installed with its chart, real
//! Ollama, real models. Tabby's place is taken by a stand-in as strict as Tabby (`tests/cluster/tools/tabby`).

mod live;

#[path = "stack/life.rs"]
mod life;
#[path = "stack/models.rs"]
mod models;
#[path = "stack/storage.rs"]
mod storage;
#[path = "stack/surroundings.rs"]
mod surroundings;
#[path = "stack/tabby.rs"]
mod tabby;
#[path = "stack/trouble.rs"]
mod trouble;

use cluster::Kind;
use cluster::test::Suite;
use std::process::ExitCode;

fn main() -> ExitCode {
    let suite = Suite::new()
        .test(
            "six_lines_become_a_model_that_answers",
            Kind::Node,
            life::six_lines_become_a_model_that_answers,
        )
        .test(
            "objects_have_the_documented_names_and_labels",
            Kind::Node,
            life::objects_have_the_documented_names_and_labels,
        )
        .test(
            "a_killed_server_comes_back",
            Kind::Node,
            life::a_killed_server_comes_back,
        )
        .test(
            "what_is_deleted_leaves_only_the_data",
            Kind::Node,
            life::what_is_deleted_leaves_only_the_data,
        )
        .test(
            "what_is_made_again_at_once_waits_for_its_former_self",
            Kind::Node,
            life::what_is_made_again_at_once_waits_for_its_former_self,
        )
        .test(
            "a_model_joins_and_leaves_without_a_restart",
            Kind::Node,
            models::a_model_joins_and_leaves_without_a_restart,
        )
        .test(
            "an_unknown_model_fails_alone",
            Kind::Node,
            models::an_unknown_model_fails_alone,
        )
        .test(
            "progress_counts_up_to_ready",
            Kind::Node,
            models::progress_counts_up_to_ready,
        )
        .test("claims_keep_the_models", Kind::Node, storage::claims_keep_the_models)
        .test(
            "persistence_can_be_switched_on_and_off",
            Kind::Node,
            storage::persistence_can_be_switched_on_and_off,
        )
        .test(
            "tabby_starts_once_its_models_are_there",
            Kind::Node,
            tabby::tabby_starts_once_its_models_are_there,
        )
        .test(
            "tabby_restarts_for_its_configuration_alone",
            Kind::Node,
            tabby::tabby_restarts_for_its_configuration_alone,
        )
        .test(
            "tabby_finds_its_data_again",
            Kind::Node,
            tabby::tabby_finds_its_data_again,
        )
        .test(
            "tabby_waits_for_the_ollama_of_others",
            Kind::Node,
            tabby::tabby_waits_for_the_ollama_of_others,
        )
        .test(
            "claims_grow_where_their_class_lets_them",
            Kind::Node,
            storage::claims_grow_where_their_class_lets_them,
        )
        .test(
            "pods_that_cannot_run_are_told_of",
            Kind::Node,
            trouble::pods_that_cannot_run_are_told_of,
        )
        .test(
            "secrets_of_the_wrong_shape_are_told_of",
            Kind::Node,
            surroundings::secrets_of_the_wrong_shape_are_told_of,
        )
        .test(
            "claims_that_are_not_bound_are_told_of",
            Kind::Node,
            trouble::claims_that_are_not_bound_are_told_of,
        )
        .test(
            "pods_that_are_refused_are_told_of",
            Kind::Node,
            trouble::pods_that_are_refused_are_told_of,
        )
        .test(
            "a_node_that_is_gone_is_told_of",
            Kind::Node,
            surroundings::a_node_that_is_gone_is_told_of,
        );
    suite.run()
}
