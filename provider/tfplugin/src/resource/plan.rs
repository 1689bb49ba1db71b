//! Planning: proposing a state that Terraform's core accepts.
//!
//! Core compares a planned state with configuration and prior state, attribute by attribute, and refuses the whole plan
//! ("Provider produced invalid plan") unless each planned value is
//!
//! - equal to the configured value, or
//! - equal to the prior value, where configuration and prior state both have one (so a provider says that the two mean
//!   the same), or
//! - anything, where the attribute is computed and not configured.
//!
//! "Equal" means the whole attribute: neither half of a map may come from one side and half from the other. Nested
//! attributes and nested blocks are judged part by part, and must be as many as in the configuration. When the planned
//! state equals the prior state wholly, Terraform shows no change and calls no apply, although the configuration
//! differs; the stored state then keeps the prior values, and the next plan is compared with them again.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    Cancel, DeferredReason,
    diagnostic::Diagnostics,
    schema::{Attribute, AttributeKind, Block, Nested, NestedBlock, Nesting, Schema},
    value::{Path, Value},
};

/// A call of [`crate::Resource::plan`].
#[derive(Debug)]
pub struct PlanRequest<C> {
    /// What [`crate::Provider::configure`] made.
    pub context: Arc<C>,
    /// The state before; `None` if it is to be created.
    pub prior: Option<Value>,
    /// The configuration; parts that come from resources still to be created are unknown.
    pub config: Value,
    /// Core's proposal: the configuration, with the prior values of computed attributes that are not configured.
    pub proposed: Value,
    /// The provider's own bytes, from the state before.
    pub private: Vec<u8>,
    /// May the plan be deferred?
    pub deferral_allowed: bool,
    /// The schema of this resource.
    pub schema: Arc<Schema>,
    /// Tells when the answer is no longer wanted.
    pub cancel: Cancel,
}

/// The answer of [`crate::Resource::plan`].
#[derive(Debug, Clone)]
pub struct PlanResponse {
    /// The state to reach; what is known only after apply is unknown.
    pub planned: Value,
    /// The attributes whose change cannot be applied in place. Core then plans again, without a prior state.
    pub requires_replace: Vec<Path>,
    /// The provider's own bytes, handed to the change.
    pub private: Vec<u8>,
    /// Set when the plan was put off.
    pub deferred: Option<DeferredReason>,
    /// Warnings.
    pub diagnostics: Diagnostics,
}

impl PlanResponse {
    /// The usual plan. Nothing configured has changed: the prior state. Else what is configured, and computed attributes
    /// that are not configured become unknown, except that [`Attribute::stable`] ones keep their prior value. A
    /// changed attribute that [`Attribute::requires_replace`] plans a replacement.
    #[must_use]
    pub fn propose<C>(request: &PlanRequest<C>) -> Self {
        let block = &request.schema.block;
        let (planned, requires_replace) = match &request.prior {
            Some(prior) if *prior == request.proposed => (prior.clone(), Vec::new()),
            prior => {
                let planned =
                    with_unknowns(block, &request.proposed, &request.config, prior.is_some());
                let replaced = |attribute: &&Attribute| {
                    attribute.requires_replace
                        && prior.as_ref().is_some_and(|prior| {
                            planned.get(&attribute.name) != prior.get(&attribute.name)
                        })
                };
                let replace = block
                    .attributes
                    .iter()
                    .filter(replaced)
                    .map(|a| Path::attribute(&a.name))
                    .collect();
                (planned, replace)
            }
        };
        Self {
            planned,
            requires_replace,
            private: request.private.clone(),
            deferred: None,
            diagnostics: Diagnostics::new(),
        }
    }

    /// The plan of a resource that finds the configured change too small to act on: the prior state, wherever core
    /// permits it. Where the configuration changed values only, that is everything, and Terraform reports no change.
    /// What the configuration newly sets, or sets no more, follows the configuration, since core insists on it.
    /// Without a prior state this is [`PlanResponse::propose`].
    ///
    /// The configured attribute, too, keeps its prior value in the state: many small steps are measured from the same
    /// place and so add up, instead of creeping by unnoticed.
    #[must_use]
    pub fn keep_prior<C>(request: &PlanRequest<C>) -> Self {
        let proposal = Self::propose(request);
        match &request.prior {
            None => proposal,
            Some(prior) => Self {
                planned: kept_block(
                    &request.schema.block,
                    prior,
                    &request.config,
                    &request.proposed,
                ),
                requires_replace: Vec::new(),
                ..proposal
            },
        }
    }

    /// Plans a value for a computed attribute.
    #[must_use]
    pub fn with_planned(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.planned.set(name, value);
        self
    }

    /// Plans a replacement because of a change of this attribute.
    #[must_use]
    pub fn with_replace(mut self, path: impl Into<Path>) -> Self {
        self.requires_replace.push(path.into());
        self
    }

    /// Hands the provider's own bytes to the change.
    #[must_use]
    pub fn with_private(mut self, private: Vec<u8>) -> Self {
        self.private = private;
        self
    }

    /// Adds warnings.
    #[must_use]
    pub fn with_diagnostics(mut self, diagnostics: impl Into<Diagnostics>) -> Self {
        self.diagnostics.append(diagnostics);
        self
    }
}

/// `proposed` with what the provider has yet to compute made unknown.
fn with_unknowns(block: &Block, proposed: &Value, config: &Value, update: bool) -> Value {
    let Value::Map(values) = proposed else {
        return proposed.clone();
    };
    let mut planned = values.clone();
    attributes_with_unknowns(&block.attributes, &mut planned, config, update);
    for nested in &block.blocks {
        let inside =
            |value: &Value, config: &Value| with_unknowns(&nested.block, value, config, update);
        if let Some(value) = planned.get_mut(&nested.name) {
            let config = config.get(&nested.name);
            *value = match nested.nesting {
                Nesting::Single => inside(value, config),
                _ => for_each(value, config, nested.nesting == Nesting::Set, &inside),
            };
        }
    }
    Value::Map(planned)
}

fn attributes_with_unknowns(
    attributes: &[Attribute],
    planned: &mut BTreeMap<String, Value>,
    config: &Value,
    update: bool,
) {
    for attribute in attributes {
        let value = planned.entry(attribute.name.clone()).or_default();
        let config = config.get(&attribute.name);
        if attribute.is_computed() && config.is_null() {
            // A stable attribute that has no value yet (it is new in the schema) is computed like any other.
            if !(update && attribute.stable && !value.is_null()) {
                *value = Value::Unknown;
            }
        } else if let AttributeKind::Nested(nested) = &attribute.kind {
            let inside = |value: &Value, config: &Value| match value {
                Value::Map(values) => {
                    let mut planned = values.clone();
                    attributes_with_unknowns(nested.attributes(), &mut planned, config, update);
                    Value::Map(planned)
                }
                other => other.clone(),
            };
            *value = match nested {
                Nested::Single(_) => inside(value, config),
                _ => for_each(value, config, matches!(nested, Nested::Set(_)), &inside),
            };
        }
    }
}

/// Applies `inside` to each element and the configured element that belongs to it. The elements of a set have nothing
/// to be matched by: each is its own configuration, so that only what is null in it becomes unknown.
fn for_each(
    value: &Value,
    config: &Value,
    set: bool,
    inside: &dyn Fn(&Value, &Value) -> Value,
) -> Value {
    match value {
        Value::List(elements) => {
            let configured = config.as_list().unwrap_or_default();
            let matched = |(i, element)| {
                let config = if set {
                    Some(element)
                } else {
                    configured.get(i)
                };
                inside(element, config.unwrap_or(&Value::Null))
            };
            Value::List(elements.iter().enumerate().map(matched).collect())
        }
        Value::Map(elements) => Value::Map(
            elements
                .iter()
                .map(|(key, e)| (key.clone(), inside(e, config.get(key))))
                .collect(),
        ),
        other => other.clone(),
    }
}

/// The prior values, where core accepts them.
fn kept_block(block: &Block, prior: &Value, config: &Value, proposed: &Value) -> Value {
    let mut kept = BTreeMap::new();
    for attribute in &block.attributes {
        let (prior, config) = (prior.get(&attribute.name), config.get(&attribute.name));
        let keep = if config.is_null() {
            attribute.is_computed()
        } else {
            !prior.is_null()
        };
        kept.insert(
            attribute.name.clone(),
            if keep { prior.clone() } else { config.clone() },
        );
    }
    for nested in &block.blocks {
        let of = |value: &Value| value.get(&nested.name).clone();
        kept.insert(
            nested.name.clone(),
            kept_nested(nested, &of(prior), &of(config), &of(proposed)),
        );
    }
    Value::Map(kept)
}

fn kept_nested(nested: &NestedBlock, prior: &Value, config: &Value, proposed: &Value) -> Value {
    let block = &nested.block;
    match (nested.nesting, prior, config) {
        (Nesting::Single, Value::Map(_), Value::Map(_)) => {
            kept_block(block, prior, config, proposed)
        }
        // Core cannot match the elements of sets and leaves them to the provider.
        (Nesting::Set, Value::List(_), Value::List(_)) => prior.clone(),
        (Nesting::List, Value::List(before), Value::List(configured))
            if before.len() == configured.len() =>
        {
            let kept = |(i, (before, configured)): (usize, (&Value, &Value))| {
                let proposed = proposed
                    .as_list()
                    .and_then(|p| p.get(i))
                    .unwrap_or(&Value::Null);
                kept_block(block, before, configured, proposed)
            };
            Value::List(
                before
                    .iter()
                    .zip(configured)
                    .enumerate()
                    .map(kept)
                    .collect(),
            )
        }
        (Nesting::Map, Value::Map(before), Value::Map(configured))
            if before.keys().eq(configured.keys()) =>
        {
            let kept = |(key, before): (&String, &Value)| {
                (
                    key.clone(),
                    kept_block(block, before, config.get(key), proposed.get(key)),
                )
            };
            Value::Map(before.iter().map(kept).collect())
        }
        // As many blocks as are configured, and computed attributes as core carried them over; those of new blocks are
        // unknown.
        _ => {
            let inside = |value: &Value, config: &Value| with_unknowns(block, value, config, true);
            match nested.nesting {
                Nesting::Single => inside(proposed, config),
                _ => for_each(proposed, config, nested.nesting == Nesting::Set, &inside),
            }
        }
    }
}
