//! Attributes: a name, a type, and who sets the value.

use crate::value::Type;

/// Who sets an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The configuration must.
    Required,
    /// The configuration may.
    Optional,
    /// The provider does, and the configuration must not.
    Computed,
    /// The configuration may, else the provider does.
    OptionalComputed,
}

/// What an attribute holds.
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeKind {
    /// A value of a plain type.
    Type(Type),
    /// Objects whose attributes have descriptions and modes of their own.
    Nested(Nested),
}

/// Nested attributes. Mocked providers in `terraform test` lose computed nested attributes in lists, sets and maps
/// (terraform#38369); a plain `map(object({…}))` is mocked right.
#[derive(Debug, Clone, PartialEq)]
pub enum Nested {
    /// One object.
    Single(Vec<Attribute>),
    /// A list of objects.
    List(Vec<Attribute>),
    /// A set of objects.
    Set(Vec<Attribute>),
    /// A map of objects.
    Map(Vec<Attribute>),
}

impl Nested {
    /// The attributes of each object.
    #[must_use]
    pub fn attributes(&self) -> &[Attribute] {
        match self {
            Self::Single(attributes)
            | Self::List(attributes)
            | Self::Set(attributes)
            | Self::Map(attributes) => attributes,
        }
    }
}

impl From<Type> for AttributeKind {
    fn from(ty: Type) -> Self {
        Self::Type(ty)
    }
}

impl From<Nested> for AttributeKind {
    fn from(nested: Nested) -> Self {
        Self::Nested(nested)
    }
}

/// An attribute of a schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribute {
    /// Its name: lower case letters, digits and underscores.
    pub name: String,
    /// What it holds.
    pub kind: AttributeKind,
    /// Who sets it.
    pub mode: Mode,
    /// What it means, in Markdown.
    pub description: String,
    /// Is its value hidden in output?
    pub sensitive: bool,
    /// Is its value given to the provider and kept in no state or plan? See [`Attribute::write_only`].
    pub write_only: bool,
    /// If deprecated: what to use instead.
    pub deprecation: Option<String>,
    /// Does a computed value outlive updates? See [`Attribute::stable`].
    pub stable: bool,
    /// Does a change replace the resource? See [`Attribute::requires_replace`].
    pub requires_replace: bool,
}

impl Attribute {
    fn new(name: impl Into<String>, kind: impl Into<AttributeKind>, mode: Mode) -> Self {
        Self {
            name: name.into(),
            kind: kind.into(),
            mode,
            description: String::new(),
            sensitive: false,
            write_only: false,
            deprecation: None,
            stable: false,
            requires_replace: false,
        }
    }

    /// An attribute that the configuration must set.
    pub fn required(name: impl Into<String>, kind: impl Into<AttributeKind>) -> Self {
        Self::new(name, kind, Mode::Required)
    }

    /// An attribute that the configuration may set.
    pub fn optional(name: impl Into<String>, kind: impl Into<AttributeKind>) -> Self {
        Self::new(name, kind, Mode::Optional)
    }

    /// An attribute that the provider sets.
    pub fn computed(name: impl Into<String>, kind: impl Into<AttributeKind>) -> Self {
        Self::new(name, kind, Mode::Computed)
    }

    /// An attribute that the provider sets where the configuration does not.
    pub fn optional_computed(name: impl Into<String>, kind: impl Into<AttributeKind>) -> Self {
        Self::new(name, kind, Mode::OptionalComputed)
    }

    /// Describes it, in Markdown.
    #[must_use]
    pub fn description(mut self, markdown: impl Into<String>) -> Self {
        self.description = markdown.into();
        self
    }

    /// Hides its value in output.
    #[must_use]
    pub fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    /// Keeps the value of a resource's attribute out of plan and state: handlers find it in the configuration and nowhere
    /// else. Needs Terraform or OpenTofu 1.11; an older one is refused with a message as soon as the attribute is set. The attribute
    /// stands in the outermost block and is required or optional.
    #[must_use]
    pub fn write_only(mut self) -> Self {
        self.write_only = true;
        self
    }

    /// Marks it as deprecated and says what to use instead.
    #[must_use]
    pub fn deprecated(mut self, message: impl Into<String>) -> Self {
        self.deprecation = Some(message.into());
        self
    }

    /// The computed value of a resource's attribute does not change when the resource is updated (an id, a creation
    /// time), so that [`crate::PlanResponse::propose`] keeps the prior value instead of planning "known after apply".
    #[must_use]
    pub fn stable(mut self) -> Self {
        self.stable = true;
        self
    }

    /// A change of a resource's attribute cannot be applied in place; [`crate::PlanResponse::propose`] then plans a
    /// replacement. It looks at the attributes of the outermost block.
    #[must_use]
    pub fn requires_replace(mut self) -> Self {
        self.requires_replace = true;
        self
    }

    /// May the provider set it?
    #[must_use]
    pub fn is_computed(&self) -> bool {
        matches!(self.mode, Mode::Computed | Mode::OptionalComputed)
    }

    /// The type of its values.
    #[must_use]
    pub fn value_type(&self) -> Type {
        match &self.kind {
            AttributeKind::Type(ty) => ty.clone(),
            AttributeKind::Nested(nested) => {
                let object = Type::object(
                    nested
                        .attributes()
                        .iter()
                        .map(|a| (a.name.clone(), a.value_type())),
                );
                match nested {
                    Nested::Single(_) => object,
                    Nested::List(_) => Type::list(object),
                    Nested::Set(_) => Type::set(object),
                    Nested::Map(_) => Type::map(object),
                }
            }
        }
    }
}
