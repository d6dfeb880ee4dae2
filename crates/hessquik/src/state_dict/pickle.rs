//! The part of Python's pickle format in which PyTorch writes tensors and plain values. A pickle is a program that calls
//! functions by name; here nothing is called. The functions that build tensors are known by name, and what they would
//! build is written down. Every other name, and every other opcode, is an error that says it.
//!
//! Values refer to each other by number, so that lists may be filled after others refer to them, and no value, however
//! deep, is walked by a function that calls itself.
use super::globals::{Global, Rebuild, global};
use std::collections::HashMap;

/// How to write a file that can be read.
pub(super) const SAVE: &str = "save the weights alone: torch.save(model.state_dict(), \"weights.pt\"), or \
                               safetensors.torch.save_file(model.state_dict(), \"weights.safetensors\")";

/// The number of a value.
pub(super) type Id = usize;

/// What a pickle builds.
#[derive(Clone, Debug)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float,
    Text(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    /// The memory of tensors: the name of its record, the type of its elements and their number.
    Storage {
        key: Id,
        elements: &'static str,
        len: u64,
    },
    // in a box: most values are small, and there may be millions of them
    Tensor(Box<Tensor>),
    /// Something that a checkpoint may have beside weights.
    Aside,
}

impl Value {
    /// What it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float => "float",
            Self::Text(_) => "str",
            Self::Tuple(_) => "tuple",
            Self::List(_) => "list",
            Self::Dict(_) => "dict",
            Self::Global(_) => "a function or type",
            Self::Storage { .. } => "a storage",
            Self::Tensor(_) => "Tensor",
            Self::Aside => "an object",
        }
    }
}

/// Where a tensor's numbers are in a storage, in elements.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    pub storage: Id,
    pub elements: &'static str,
    pub offset: u64,
    pub shape: Vec<u64>,
    pub strides: Vec<u64>,
    /// Whether the numbers have the other sign.
    pub negative: bool,
}

/// The values of a pickle, and the number of the one that it is of.
pub(super) fn read(bytes: &[u8]) -> Result<(Vec<Value>, Id), String> {
    let mut machine =
        Machine { bytes, at: 0, values: Vec::new(), stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() };
    loop {
        let opcode = machine.take::<1>()?[0];
        if opcode == b'.' {
            let root = machine.pop()?;
            return Ok((machine.values, root));
        }
        machine.step(opcode)?;
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value>,
    stack: Vec<Id>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

impl<'a> Machine<'a> {
    fn step(&mut self, opcode: u8) -> Result<(), String> {
        match opcode {
            // the protocol, and the length of a frame
            0x80 => self.take::<1>().map(drop),
            0x95 => self.take::<8>().map(drop),
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'0' => self.pop().map(drop),
            b'1' => self.marked().map(drop),
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'J' => {
                let number = i32::from_le_bytes(self.take()?);
                self.push(Value::Int(number.into()))
            }
            b'K' => {
                let number = self.length(1)?;
                self.push(Value::Int(number as i64))
            }
            b'M' => {
                let number = self.length(2)?;
                self.push(Value::Int(number as i64))
            }
            0x8a => {
                let len = self.length(1)?;
                self.long(len)
            }
            0x8b => {
                let len = self.length(4)?;
                self.long(len)
            }
            b'G' => {
                self.take::<8>()?;
                self.push(Value::Float)
            }
            0x8c | b'U' => self.text(1),
            b'X' | b'T' => self.text(4),
            0x8d => self.text(8),
            b'C' => self.raw(1),
            b'B' => self.raw(4),
            0x8e | 0x96 => self.raw(8),
            b'}' => self.push(Value::Dict(Vec::new())),
            b']' | 0x8f => self.push(Value::List(Vec::new())),
            b')' => self.push(Value::Tuple(Vec::new())),
            b't' => {
                let items = self.marked()?;
                self.push(Value::Tuple(items))
            }
            0x85..=0x87 => {
                let count = usize::from(opcode - 0x84);
                let start = self.height(count)?;
                let items = self.stack.split_off(start);
                self.push(Value::Tuple(items))
            }
            b'a' => {
                let item = self.pop()?;
                self.append(&[item])
            }
            b'e' | 0x90 => {
                let items = self.marked()?;
                self.append(&items)
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(&[key, value])
            }
            b'u' => {
                let items = self.marked()?;
                self.set(&items)
            }
            b'q' => self.remember(1),
            b'r' => self.remember(4),
            0x94 => {
                let top = self.top()?;
                self.memo.insert(self.memo.len() as u64, top);
                Ok(())
            }
            b'h' => self.recall(1),
            b'j' => self.recall(4),
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                let found = global(module, name)?;
                self.push(Value::Global(found))
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Text(module), Value::Text(name)) = (&self.values[module], &self.values[name]) else {
                    return Err(damaged("a name that is not text"));
                };
                let found = global(module, name)?;
                self.push(Value::Global(found))
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(id)?;
                self.push(storage)
            }
            b'R' | 0x81 => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                let (Value::Tuple(arguments), Value::Global(function)) =
                    (&self.values[arguments], &self.values[function])
                else {
                    return Err(damaged("a call of something that is not a function"));
                };
                let value = self.call(*function, arguments, true)?;
                self.push(value)
            }
            b'b' => {
                // the attributes of an object, such as the versions of modules that PyTorch hangs on a state dictionary
                self.pop()?;
                let top = self.top()?;
                match &self.values[top] {
                    Value::Dict(_) | Value::Aside => Ok(()),
                    other => Err(damaged(&format!("attributes of {}", other.kind()))),
                }
            }
            other => Err(format!(
                "its pickle has the opcode {other:#04x} at byte {}, which PyTorch does not write; {SAVE}",
                self.at - 1
            )),
        }
    }

    fn slice(&mut self, len: u64) -> Result<&'a [u8], String> {
        let rest = &self.bytes[self.at..];
        match usize::try_from(len).ok().and_then(|len| rest.get(..len)) {
            Some(slice) => {
                self.at += slice.len();
                Ok(slice)
            }
            None => Err(damaged("an end before its last opcode")),
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        Ok(*self.slice(N as u64)?.first_chunk().expect("as many bytes"))
    }

    /// A number of so many bytes.
    fn length(&mut self, bytes: usize) -> Result<u64, String> {
        let mut padded = [0; 8];
        padded[..bytes].copy_from_slice(self.slice(bytes as u64)?);
        Ok(u64::from_le_bytes(padded))
    }

    /// A whole number of so many bytes; those that fit nowhere are not sizes of anything.
    fn long(&mut self, bytes: u64) -> Result<(), String> {
        let digits = self.slice(bytes)?;
        if digits.len() > 8 {
            return self.push(Value::Aside);
        }
        let mut padded = if digits.last().is_some_and(|b| b & 0x80 != 0) { [0xff; 8] } else { [0; 8] };
        padded[..digits.len()].copy_from_slice(digits);
        self.push(Value::Int(i64::from_le_bytes(padded)))
    }

    fn text(&mut self, bytes: usize) -> Result<(), String> {
        let len = self.length(bytes)?;
        let text = std::str::from_utf8(self.slice(len)?).map_err(|_| damaged("text that is not UTF-8"))?;
        self.push(Value::Text(text.into()))
    }

    fn raw(&mut self, bytes: usize) -> Result<(), String> {
        let len = self.length(bytes)?;
        self.slice(len)?;
        self.push(Value::Aside)
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&b| b == b'\n').ok_or_else(|| damaged("a name without an end"))?;
        self.at += end + 1;
        std::str::from_utf8(&rest[..end]).map_err(|_| damaged("a name that is not UTF-8"))
    }

    fn push(&mut self, value: Value) -> Result<(), String> {
        self.stack.push(self.values.len());
        self.values.push(value);
        Ok(())
    }

    /// The height of the stack without so many values, which are above the last mark.
    fn height(&self, count: usize) -> Result<usize, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let height = self.stack.len().checked_sub(count).filter(|height| *height >= floor);
        height.ok_or_else(|| damaged("an opcode without its values"))
    }

    fn pop(&mut self) -> Result<Id, String> {
        let height = self.height(1)?;
        let id = self.stack[height];
        self.stack.truncate(height);
        Ok(id)
    }

    fn top(&self) -> Result<Id, String> {
        Ok(self.stack[self.height(1)?])
    }

    fn marked(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or_else(|| damaged("the end of a list that does not start"))?;
        Ok(self.stack.split_off(mark))
    }

    fn remember(&mut self, bytes: usize) -> Result<(), String> {
        let (key, top) = (self.length(bytes)?, self.top()?);
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, bytes: usize) -> Result<(), String> {
        let key = self.length(bytes)?;
        let id = *self.memo.get(&key).ok_or_else(|| damaged("a reference to nothing"))?;
        self.stack.push(id);
        Ok(())
    }

    fn append(&mut self, items: &[Id]) -> Result<(), String> {
        let top = self.top()?;
        match &mut self.values[top] {
            Value::List(list) => list.extend(items),
            Value::Aside => {}
            other => return Err(damaged(&format!("items of {}", other.kind()))),
        }
        Ok(())
    }

    fn set(&mut self, items: &[Id]) -> Result<(), String> {
        let top = self.top()?;
        let (pairs, rest) = items.as_chunks::<2>();
        match &mut self.values[top] {
            Value::Dict(entries) if rest.is_empty() => entries.extend(pairs.iter().map(|[key, value]| (*key, *value))),
            Value::Aside => {}
            other => return Err(damaged(&format!("entries of {}", other.kind()))),
        }
        Ok(())
    }

    /// The storage that a persistent identity names: ("storage", type, key, device, number of elements).
    fn storage(&self, id: Id) -> Result<Value, String> {
        let wrong = || damaged("a reference outside it that is not a storage");
        let Value::Tuple(parts) = &self.values[id] else { return Err(wrong()) };
        let [what, kind, key, _, len] = parts[..] else { return Err(wrong()) };
        match (&self.values[what], &self.values[kind], &self.values[key], self.size(len)) {
            (Value::Text(what), Value::Global(Global::Elements(elements)), Value::Text(_), Some(len))
                if what == "storage" =>
            {
                Ok(Value::Storage { key, elements, len })
            }
            _ => Err(wrong()),
        }
    }

    /// A number that is not negative.
    fn size(&self, id: Id) -> Option<u64> {
        match self.values[id] {
            Value::Int(number) => number.try_into().ok(),
            _ => None,
        }
    }

    fn sizes(&self, id: Id) -> Option<Vec<u64>> {
        match &self.values[id] {
            // no array has more axes, and copies of longer tuples would be expensive
            Value::Tuple(ids) if ids.len() <= 32 => ids.iter().map(|id| self.size(*id)).collect(),
            _ => None,
        }
    }

    /// What a function would build of its arguments; `whole` unless it is called by another.
    fn call(&self, function: Global, arguments: &[Id], whole: bool) -> Result<Value, String> {
        let wrong = || damaged("a tensor with unknown settings");
        match function {
            Global::Aside => Ok(Value::Aside),
            Global::Dict if arguments.is_empty() => Ok(Value::Dict(Vec::new())),
            Global::Dict => Err(damaged("a dictionary with settings")),
            Global::Elements(_) => Err(damaged("a call of a type of elements")),
            Global::Build(Rebuild::Parameter) => match arguments.first().map(|id| &self.values[*id]) {
                Some(Value::Tensor(tensor)) => Ok(Value::Tensor(tensor.clone())),
                _ => Err(wrong()),
            },
            // the function, the type that its result gets, its arguments, and attributes
            Global::Build(Rebuild::OfType) => match arguments {
                [function, _, arguments, ..] if whole => match (&self.values[*function], &self.values[*arguments]) {
                    (Value::Global(function), Value::Tuple(arguments)) => self.call(*function, arguments, false),
                    _ => Err(wrong()),
                },
                _ => Err(wrong()),
            },
            Global::Build(Rebuild::Tensor { typed }) => self.tensor(arguments, typed),
        }
    }

    /// A tensor of (storage, offset, shape, strides, requires_grad, hooks, metadata), with its type before its metadata if it
    /// is `typed`.
    fn tensor(&self, arguments: &[Id], typed: bool) -> Result<Value, String> {
        let wrong = || damaged("a tensor with unknown settings");
        let [storage, offset, shape, strides, rest @ ..] = arguments else { return Err(wrong()) };
        let Value::Storage { elements, .. } = self.values[*storage] else { return Err(wrong()) };
        let elements = match rest.get(2).map(|id| &self.values[*id]) {
            Some(Value::Global(Global::Elements(elements))) if typed => elements,
            _ if typed => return Err(wrong()),
            _ => elements,
        };
        let negative = match rest.get(if typed { 3 } else { 2 }).map(|id| &self.values[*id]) {
            None | Some(Value::None) => false,
            Some(Value::Dict(settings)) => self.negative(settings)?,
            Some(_) => return Err(wrong()),
        };
        let offset = self.size(*offset).ok_or_else(wrong)?;
        let (shape, strides) = (self.sizes(*shape).ok_or_else(wrong)?, self.sizes(*strides).ok_or_else(wrong)?);
        if shape.len() != strides.len() {
            return Err(wrong());
        }
        Ok(Value::Tensor(Box::new(Tensor { storage: *storage, elements, offset, shape, strides, negative })))
    }

    /// Whether the settings of a tensor, of which no others are known, give it the other sign.
    fn negative(&self, settings: &[(Id, Id)]) -> Result<bool, String> {
        let mut negative = false;
        for (key, value) in settings {
            match (&self.values[*key], &self.values[*value]) {
                (Value::Text(key), Value::Bool(value)) if key == "neg" => negative = *value,
                (_, Value::Bool(false)) => {}
                _ => return Err(format!("it has a tensor with settings that only PyTorch knows; {SAVE}")),
            }
        }
        Ok(negative)
    }
}

/// A pickle that PyTorch did not write like this.
fn damaged(what: &str) -> String {
    format!("its pickle is damaged, or not PyTorch's: it has {what}")
}
