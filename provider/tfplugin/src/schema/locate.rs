//! From a path in a value to the place in the configuration that Terraform can show.
//!
//! Terraform finds the source of `region`, of `tags["cost"]` and of either inside blocks. It does not look deeper into an
//! expression, and falls back to the whole block when it is asked to; the rest of the path then has to stand in the text.

use super::{Block, Nesting};
use crate::value::{Path, Step, Type};

/// A path as the schema understands it, and the part of it that Terraform can show.
pub(crate) struct Place {
    /// The whole path. The keys of maps and the names of attributes are told apart here, as values cannot do.
    pub(crate) full: Path,
    /// Its beginning.
    pub(crate) shown: Path,
}

impl Block {
    pub(crate) fn locate(&self, path: &Path) -> Place {
        let mut place = Place {
            full: Path::root(),
            shown: Path::root(),
        };
        in_block(self, path.steps(), &mut place);
        place
    }
}

impl Place {
    fn both(&mut self, step: &Step) {
        self.full.push(step.clone());
        self.shown.push(step.clone());
    }
}

fn name_of(step: &Step) -> Option<&str> {
    match step {
        Step::Attribute(name) | Step::Key(name) => Some(name),
        Step::Index(_) => None,
    }
}

fn in_block(block: &Block, steps: &[Step], place: &mut Place) {
    let Some((step, rest)) = steps.split_first() else {
        return;
    };
    let name = name_of(step).unwrap_or_default();
    if let Some(nested) = block.blocks.iter().find(|nested| nested.name == name) {
        place.both(&Step::Attribute(name.to_owned()));
        let Some((step, deeper)) = rest.split_first() else {
            return;
        };
        match (nested.nesting, step) {
            (Nesting::Single, _) => in_block(&nested.block, rest, place),
            (Nesting::Map, Step::Attribute(key)) => {
                place.both(&Step::Key(key.clone()));
                in_block(&nested.block, deeper, place);
            }
            (Nesting::List | Nesting::Map, _) => {
                place.both(step);
                in_block(&nested.block, deeper, place);
            }
            // The elements of a set stand in no order that Terraform could follow.
            (Nesting::Set, _) => rest.iter().for_each(|step| place.full.push(step.clone())),
        }
    } else if let Some(attribute) = block
        .attributes
        .iter()
        .find(|attribute| attribute.name == name)
    {
        place.both(&Step::Attribute(name.to_owned()));
        let before = place.full.steps().len();
        in_type(&attribute.value_type(), rest, &mut place.full);
        if let Some(key @ Step::Key(_)) = place.full.steps().get(before) {
            place.shown.push(key.clone());
        }
    } else {
        steps.iter().for_each(|step| place.both(step));
    }
}

fn in_type(ty: &Type, steps: &[Step], full: &mut Path) {
    let Some((step, rest)) = steps.split_first() else {
        return;
    };
    match (ty, step, name_of(step)) {
        (Type::Map(element), _, Some(key)) => {
            full.push(Step::Key(key.to_owned()));
            in_type(element, rest, full);
        }
        (Type::Object(object), _, Some(name)) => {
            full.push(Step::Attribute(name.to_owned()));
            in_type(
                object.attributes.get(name).unwrap_or(&Type::Dynamic),
                rest,
                full,
            );
        }
        (Type::List(element) | Type::Set(element), Step::Index(_), _) => {
            full.push(step.clone());
            in_type(element, rest, full);
        }
        _ => steps.iter().for_each(|step| full.push(step.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Attribute, Nested, NestedBlock};

    #[test]
    fn terraform_is_shown_what_it_can_find() {
        let port = || Attribute::required("port", Type::Number);
        let block = Block::new()
            .attribute(Attribute::optional("region", Type::String))
            .attribute(Attribute::optional("services", Nested::Map(vec![port()])))
            .attribute(Attribute::optional("hosts", Nested::List(vec![port()])))
            .block(NestedBlock::list(
                "rule",
                Block::new().attribute(Attribute::optional("tags", Type::map(Type::String))),
            ))
            .block(NestedBlock::set("peer", Block::new().attribute(port())));
        let place = |path: Path| {
            let place = block.locate(&path);
            format!("{} ← {}", place.shown, place.full)
        };
        let at = Path::attribute;
        assert_eq!(place(Path::root()), " ← ");
        assert_eq!(place(at("region")), "region ← region");
        // A path out of a deserializer, which calls the key of a map an attribute.
        assert_eq!(
            place(at("services").attr("cart").attr("port")),
            r#"services["cart"] ← services["cart"].port"#
        );
        assert_eq!(
            place(at("hosts").index(2).attr("port")),
            "hosts ← hosts[2].port"
        );
        assert_eq!(
            place(at("rule").index(1).attr("tags").attr("a")),
            r#"rule[1].tags["a"] ← rule[1].tags["a"]"#
        );
        assert_eq!(
            place(at("peer").index(1).attr("port")),
            "peer ← peer[1].port"
        );
        assert_eq!(place(at("unheard").attr("of")), "unheard.of ← unheard.of");
    }
}
