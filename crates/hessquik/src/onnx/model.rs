//! The messages of an ONNX file that a network needs, with the field numbers of `onnx.proto`.
use super::wire::Fields;

/// Messages in messages at most: a graph within a node within a graph, and so on.
const DEEPEST: usize = 12;
/// Messages in a file at most; each takes some hundred bytes of memory, and may take two bytes of the file.
const MESSAGES: usize = 1 << 20;

/// How much more may be read.
struct Budget {
    messages: usize,
}

impl Budget {
    fn message(&mut self, depth: usize) -> Result<(), String> {
        if depth > DEEPEST {
            return Err(format!("graphs are nested more than {} deep", DEEPEST / 3));
        }
        self.messages = self.messages.checked_sub(1).ok_or_else(|| format!("more than {MESSAGES} messages"))?;
        Ok(())
    }
}

/// A model.
#[derive(Debug, Default)]
pub(super) struct Model<'a> {
    /// The version of each domain of operators; the main one is "".
    pub opsets: Vec<(&'a str, i64)>,
    pub graph: Option<Graph<'a>>,
    pub functions: Vec<Function<'a>>,
}

/// A graph of operators, or the body of a branch.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph<'a> {
    pub nodes: Vec<Node<'a>>,
    pub initialisers: Vec<Tensor<'a>>,
    /// The name of an initialiser that is stored sparsely.
    pub sparse: bool,
    pub inputs: Vec<Port<'a>>,
    pub outputs: Vec<Port<'a>>,
}

/// An operator defined by others.
#[derive(Debug, Default)]
pub(super) struct Function<'a> {
    pub name: &'a str,
    pub domain: &'a str,
    pub inputs: Vec<&'a str>,
    pub outputs: Vec<&'a str>,
    pub defaults: Vec<Attribute<'a>>,
    pub nodes: Vec<Node<'a>>,
    pub opsets: Vec<(&'a str, i64)>,
}

/// An operator with the names of what goes in and comes out.
#[derive(Clone, Debug, Default)]
pub(super) struct Node<'a> {
    pub inputs: Vec<&'a str>,
    pub outputs: Vec<&'a str>,
    pub name: &'a str,
    pub op: &'a str,
    pub domain: &'a str,
    pub attributes: Vec<Attribute<'a>>,
}

/// A setting of an operator; which of the fields counts depends on the setting.
#[derive(Clone, Debug, Default)]
pub(super) struct Attribute<'a> {
    pub name: &'a str,
    pub float: Option<f32>,
    pub integer: Option<i64>,
    pub text: Option<&'a [u8]>,
    pub tensor: Option<Tensor<'a>>,
    pub graph: Option<Graph<'a>>,
    pub floats: Vec<f32>,
    pub integers: Vec<i64>,
    pub texts: Vec<&'a [u8]>,
    /// In a function: the setting of its caller that this one is.
    pub refers: &'a str,
}

/// An array, of which one of the fields holds the numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Tensor<'a> {
    pub name: &'a str,
    pub dims: Vec<i64>,
    pub kind: i64,
    pub raw: Option<&'a [u8]>,
    pub floats: Vec<f32>,
    /// Those of int32_data and of int64_data, which is never both.
    pub integers: Vec<i64>,
    pub doubles: Vec<f64>,
    /// Where numbers are that are in another file: key and value.
    pub external: Vec<(&'a str, &'a str)>,
    pub elsewhere: bool,
}

/// A length of an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Length {
    Fixed(i64),
    Any,
}

/// An input or output of a graph.
#[derive(Clone, Debug, Default)]
pub(super) struct Port<'a> {
    pub name: &'a str,
    pub kind: i64,
    pub dims: Option<Vec<Length>>,
}

impl<'a> Model<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let mut budget = Budget { messages: MESSAGES };
        let mut model = Self::default();
        for field in Fields::of(bytes) {
            let (number, wire) = field?;
            match number {
                7 => model.graph = Some(Graph::read(wire.bytes()?, 1, &mut budget)?),
                8 => model.opsets.push(opset(wire.bytes()?)?),
                25 => model.functions.push(Function::read(wire.bytes()?, &mut budget)?),
                _ => {}
            }
        }
        Ok(model)
    }
}

fn opset(bytes: &[u8]) -> Result<(&str, i64), String> {
    let mut found = ("", 1);
    for field in Fields::of(bytes) {
        match field? {
            (1, wire) => found.0 = wire.text()?,
            (2, wire) => found.1 = wire.integer()?,
            _ => {}
        }
    }
    // two names of the main domain
    Ok((if found.0 == "ai.onnx" { "" } else { found.0 }, found.1))
}

impl<'a> Graph<'a> {
    fn read(bytes: &'a [u8], depth: usize, budget: &mut Budget) -> Result<Self, String> {
        budget.message(depth)?;
        let mut graph = Self::default();
        for field in Fields::of(bytes) {
            let (number, wire) = field?;
            match number {
                1 => graph.nodes.push(Node::read(wire.bytes()?, depth + 1, budget)?),
                5 => graph.initialisers.push(Tensor::read(wire.bytes()?, budget)?),
                11 => graph.inputs.push(Port::read(wire.bytes()?, budget)?),
                12 => graph.outputs.push(Port::read(wire.bytes()?, budget)?),
                15 => graph.sparse = true,
                _ => {}
            }
        }
        Ok(graph)
    }
}

impl<'a> Function<'a> {
    fn read(bytes: &'a [u8], budget: &mut Budget) -> Result<Self, String> {
        budget.message(1)?;
        let mut function = Self::default();
        for field in Fields::of(bytes) {
            let (number, wire) = field?;
            match number {
                1 => function.name = wire.text()?,
                4 => function.inputs.push(wire.text()?),
                5 => function.outputs.push(wire.text()?),
                7 => function.nodes.push(Node::read(wire.bytes()?, 2, budget)?),
                9 => function.opsets.push(opset(wire.bytes()?)?),
                10 => function.domain = wire.text()?,
                11 => function.defaults.push(Attribute::read(wire.bytes()?, 2, budget)?),
                _ => {}
            }
        }
        Ok(function)
    }
}

impl<'a> Node<'a> {
    fn read(bytes: &'a [u8], depth: usize, budget: &mut Budget) -> Result<Self, String> {
        budget.message(depth)?;
        let mut node = Self::default();
        for field in Fields::of(bytes) {
            let (number, wire) = field?;
            match number {
                1 => node.inputs.push(wire.text()?),
                2 => node.outputs.push(wire.text()?),
                3 => node.name = wire.text()?,
                4 => node.op = wire.text()?,
                5 => node.attributes.push(Attribute::read(wire.bytes()?, depth + 1, budget)?),
                7 => node.domain = wire.text()?,
                _ => {}
            }
        }
        if node.domain == "ai.onnx" {
            node.domain = "";
        }
        Ok(node)
    }
}

impl<'a> Attribute<'a> {
    fn read(bytes: &'a [u8], depth: usize, budget: &mut Budget) -> Result<Self, String> {
        budget.message(depth)?;
        let mut attribute = Self::default();
        let mut kind = 0;
        for field in Fields::of(bytes) {
            let (number, wire) = field?;
            match number {
                1 => attribute.name = wire.text()?,
                2 => attribute.float = Some(wire.float()?),
                3 => attribute.integer = Some(wire.integer()?),
                4 => attribute.text = Some(wire.bytes()?),
                5 => attribute.tensor = Some(Tensor::read(wire.bytes()?, budget)?),
                6 => attribute.graph = Some(Graph::read(wire.bytes()?, depth + 1, budget)?),
                7 => wire.floats(&mut attribute.floats)?,
                8 => wire.integers(&mut attribute.integers)?,
                9 => attribute.texts.push(wire.bytes()?),
                20 => kind = wire.integer()?,
                21 => attribute.refers = wire.text()?,
                _ => {}
            }
        }
        // a zero or an empty text may be left out of the file
        match kind {
            1 => drop(attribute.float.get_or_insert(0.0)),
            2 => drop(attribute.integer.get_or_insert(0)),
            3 => drop(attribute.text.get_or_insert(b"")),
            _ => {}
        }
        Ok(attribute)
    }
}

impl<'a> Tensor<'a> {
    fn read(bytes: &'a [u8], budget: &mut Budget) -> Result<Self, String> {
        budget.message(0)?;
        let mut tensor = Self::default();
        for field in Fields::of(bytes) {
            let (number, wire) = field?;
            match number {
                1 => wire.integers(&mut tensor.dims)?,
                2 => tensor.kind = wire.integer()?,
                4 => wire.floats(&mut tensor.floats)?,
                // unsigned 64-bit numbers are those of field 11
                5 | 7 | 11 => wire.integers(&mut tensor.integers)?,
                8 => tensor.name = wire.text()?,
                9 => tensor.raw = Some(wire.bytes()?),
                10 => wire.doubles(&mut tensor.doubles)?,
                13 => {
                    budget.message(0)?;
                    let (mut key, mut value) = ("", "");
                    for field in Fields::of(wire.bytes()?) {
                        match field? {
                            (1, wire) => key = wire.text()?,
                            (2, wire) => value = wire.text()?,
                            _ => {}
                        }
                    }
                    tensor.external.push((key, value));
                }
                14 => tensor.elsewhere = wire.integer()? == 1,
                _ => {}
            }
        }
        Ok(tensor)
    }
}

impl<'a> Port<'a> {
    fn read(bytes: &'a [u8], budget: &mut Budget) -> Result<Self, String> {
        budget.message(0)?;
        let mut port = Self::default();
        for field in Fields::of(bytes) {
            match field? {
                (1, wire) => port.name = wire.text()?,
                (2, wire) => {
                    for field in Fields::of(wire.bytes()?) {
                        // of a tensor; others keep the kind 0
                        if let (1, wire) = field? {
                            (port.kind, port.dims) = tensor_type(wire.bytes()?, budget)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(port)
    }
}

fn tensor_type(bytes: &[u8], budget: &mut Budget) -> Result<(i64, Option<Vec<Length>>), String> {
    let (mut kind, mut dims) = (0, None);
    for field in Fields::of(bytes) {
        match field? {
            (1, wire) => kind = wire.integer()?,
            (2, wire) => {
                let lengths: &mut Vec<Length> = dims.get_or_insert_default();
                for field in Fields::of(wire.bytes()?) {
                    let (1, wire) = field? else { continue };
                    budget.message(0)?;
                    let mut length = Length::Any;
                    for field in Fields::of(wire.bytes()?) {
                        if let (1, wire) = field? {
                            // exporters write -1, or 0, for a length that they do not know
                            length = match wire.integer()? {
                                n if n > 0 => Length::Fixed(n),
                                _ => Length::Any,
                            };
                        }
                    }
                    lengths.push(length);
                }
            }
            _ => {}
        }
    }
    Ok((kind, dims))
}
