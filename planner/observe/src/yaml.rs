//! YAML as a tree that knows its lines, and the documents of a stream one by one, so that one bad document spoils no other.

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Options, Spanned};

/// Deeper nesting is refused: it is an attack or a mistake, and each level costs stack.
const DEEPEST: usize = 64;

/// A value and the line where it stands, counted from 1 in its document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub line: usize,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Number(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    /// A field of a map.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(fields) => fields.iter().find(|(k, _)| k == key).map(|(_, node)| node),
            _ => None,
        }
    }

    /// A field of a field of … a map.
    pub fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// Text at a path.
    pub fn text_at(&self, path: &[&str]) -> Option<&str> {
        self.at(path)?.text()
    }

    /// The text of a string.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Any scalar as text, as an environment variable would hold it.
    pub fn scalar(&self) -> Option<String> {
        match &self.value {
            Value::Text(text) => Some(text.clone()),
            Value::Bool(value) => Some(value.to_string()),
            Value::Integer(value) => Some(value.to_string()),
            Value::Number(value) => Some(value.to_string()),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// A number, also where it is written as text.
    pub fn number(&self) -> Option<f64> {
        match &self.value {
            Value::Integer(value) => Some(*value as f64),
            Value::Number(value) => Some(*value),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// The elements of a list; none of anything else.
    pub fn list(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The elements of a list at a path; none of anything else.
    pub fn list_at(&self, path: &[&str]) -> &[Node] {
        self.at(path).map_or(&[], Node::list)
    }

    /// The fields of a map; none of anything else.
    pub fn fields(&self) -> &[(String, Node)] {
        match &self.value {
            Value::Map(fields) => fields,
            _ => &[],
        }
    }

    /// Moves every line down.
    fn shift(&mut self, lines: usize) {
        self.line += lines;
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|node| node.shift(lines)),
            Value::Map(fields) => fields.iter_mut().for_each(|(_, node)| node.shift(lines)),
            _ => {}
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Node {
            line: usize::try_from(spanned.referenced.line()).unwrap_or(0),
            value: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Value;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("any YAML value")
            }
            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }
            fn visit_none<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }
            fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
                Value::deserialize(inner)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(Value::Bool(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(Value::Integer(value))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(i64::try_from(value).map_or(Value::Number(value as f64), Value::Integer))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
                Ok(Value::Number(value))
            }
            fn visit_str<E>(self, text: &str) -> Result<Value, E> {
                Ok(Value::Text(text.into()))
            }
            fn visit_string<E>(self, text: String) -> Result<Value, E> {
                Ok(Value::Text(text))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Value::List(list))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(key) = map.next_key::<Value>()? {
                    let key = Node {
                        line: 0,
                        value: key,
                    }
                    .scalar()
                    .ok_or_else(|| A::Error::custom("the key of a field is not plain text"))?;
                    fields.push((key, map.next_value()?));
                }
                Ok(Value::Map(fields))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// Where and why text is no YAML; line and column counted from 1.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct YamlFault {
    pub line: usize,
    pub column: usize,
    pub cause: String,
}

/// The options with which every YAML text is read.
pub(crate) fn options() -> Options {
    let mut budget = serde_saphyr::Budget::default();
    budget.max_depth = DEEPEST;
    budget.flow_nesting_limit = DEEPEST;
    let mut options = Options::default();
    options.budget = Some(budget);
    options.with_snippet = false;
    options
}

/// What the parser says, on one line and without the place that stands beside it.
pub(crate) fn fault(error: &serde_saphyr::Error) -> YamlFault {
    let at = |value: u64| usize::try_from(value).unwrap_or(0).max(1);
    let text = error.without_snippet().to_string();
    let cause = text.lines().next().unwrap_or_default();
    let cause = cause.split(" at line ").next().unwrap_or(cause);
    YamlFault {
        line: error.location().map_or(1, |l| at(l.line())),
        column: error.location().map_or(1, |l| at(l.column())),
        cause: cause.trim_end_matches([':', ' ']).into(),
    }
}

/// Reads one document.
pub(crate) fn parse(text: &str) -> Result<Node, YamlFault> {
    serde_saphyr::from_str_with_options(text, options()).map_err(|e| fault(&e))
}

/// One document of a stream: its text and the lines before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Document<'a> {
    pub text: &'a str,
    pub lines_before: usize,
}

impl Document<'_> {
    /// Reads the document; lines are those of the file.
    pub fn parse(&self) -> Result<Node, YamlFault> {
        let mut node = parse(self.text).map_err(|mut fault| {
            fault.line += self.lines_before;
            fault
        })?;
        node.shift(self.lines_before);
        Ok(node)
    }

    /// The value of a field at the outermost level, found without parsing.
    pub fn quick_field(&self, key: &str) -> Option<&str> {
        self.text.lines().find_map(|line| {
            let value = line.strip_prefix(key)?.strip_prefix(':')?;
            let value = value.split(" #").next().unwrap_or(value).trim();
            Some(value.trim_matches(['"', '\'']))
        })
    }
}

/// The documents of a stream. A line that starts with `---` always begins one, even inside a block of text (YAML 1.2.2, 9.1.2).
pub(crate) fn documents(text: &str) -> Vec<Document<'_>> {
    let mut documents = Vec::new();
    let (mut start, mut start_line, mut offset) = (0, 0, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let marker = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\r']));
        if marker {
            documents.push(Document {
                text: &text[start..offset],
                lines_before: start_line,
            });
            start = offset + line.len();
            start_line = number + 1;
            // What stands behind the marker belongs to the document, unless it is a comment.
            let rest = line[3..].trim();
            if !rest.is_empty() && !rest.starts_with('#') {
                start = offset + 3;
                start_line = number;
            }
        }
        offset += line.len();
    }
    documents.push(Document {
        text: &text[start..],
        lines_before: start_line,
    });
    documents.retain(|document| {
        document.text.lines().any(|line| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with('#') && line != "..."
        })
    });
    documents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_know_their_lines() {
        let text = "# head\n---\nkind: A # is\nx: |\n  a\n  --- b\n---\n# only a comment\n--- # c\nkind: \"B\"\nlist:\n- {a: 1}\n";
        let found = documents(text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].quick_field("kind"), Some("A"));
        assert_eq!(found[1].quick_field("kind"), Some("B"));
        let node = found[1].parse().unwrap();
        assert_eq!(node.list_at(&["list"])[0].get("a").unwrap().line, 12);
    }

    #[test]
    fn deep_nesting_is_refused_without_overflow() {
        let deep = "[".repeat(100_000);
        assert!(parse(&deep).is_err());
        let block: String = (0..500).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
        assert!(parse(&block).is_err());
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n";
        assert!(parse(bomb).is_err());
    }
}
