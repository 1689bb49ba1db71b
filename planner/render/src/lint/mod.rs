//! lint
/// F
#[derive(Debug)]
pub struct Finding {}
/// L
#[derive(Debug)]
pub enum Level {}
/// lint
pub fn lint(_f: &std::collections::BTreeMap<String, String>) -> Vec<Finding> {
    vec![]
}
