//! Names of stacks.

use super::*;

#[test]
fn of_a_stack() {
    for (name, good) in [
        ("a", true),
        ("my-chat-2", true),
        ("a23456789012345678901234567890123456789b", true),
        ("a23456789012345678901234567890123456789bc", false),
        ("1abc", false),
        ("a.b", false),
        ("a-", false),
    ] {
        let mut object = stack("ollama: {models: [a]}");
        object["metadata"]["name"] = name.into();
        let expected = format!(
            "metadata.name: Invalid value: {name:?}: must be a DNS-1035 label of at most 40 characters: lower case, digits and -, first a letter"
        );
        let expected: Vec<String> = if good { vec![] } else { vec![expected] };
        assert_eq!(issues(&object, None), expected);
    }
}

#[test]
fn of_a_stack_whose_name_is_generated() {
    let mut object = stack("ollama: {models: [a]}");
    object["metadata"] = json!({"generateName": "chat-"});
    assert_eq!(issues(&object, None), [""; 0]);
}
