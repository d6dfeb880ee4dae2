//! Messages of an ONNX file, written: the counterpart of `wire` and `model`.

/// A message that is being written.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub bytes: Vec<u8>,
}

impl Message {
    fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.bytes.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.bytes.push(n as u8);
    }

    pub fn integer(mut self, field: u64, n: i64) -> Self {
        self.varint(field << 3);
        self.varint(n as u64);
        self
    }

    pub fn part(mut self, field: u64, bytes: impl AsRef<[u8]>) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.as_ref().len() as u64);
        self.bytes.extend_from_slice(bytes.as_ref());
        self
    }
}

/// An attribute of integers.
pub(super) fn integers(name: &str, numbers: &[i64]) -> Vec<u8> {
    let message = numbers.iter().fold(Message::default().part(1, name), |m, &n| m.integer(8, n));
    message.integer(20, 7).bytes
}

/// An attribute of one integer.
pub(super) fn integer(name: &str, n: i64) -> Vec<u8> {
    Message::default().part(1, name).integer(3, n).integer(20, 2).bytes
}

/// An attribute that is a text.
pub(super) fn text(name: &str, text: &str) -> Vec<u8> {
    Message::default().part(1, name).part(4, text).integer(20, 3).bytes
}

/// An attribute that is an array.
pub(super) fn array(name: &str, tensor: &[u8]) -> Vec<u8> {
    Message::default().part(1, name).part(5, tensor).integer(20, 4).bytes
}

/// An array of this element type, with its numbers as they are stored.
pub(super) fn tensor(name: &str, kind: i64, shape: &[usize], raw: &[u8]) -> Vec<u8> {
    let message = shape.iter().fold(Message::default(), |m, &n| m.integer(1, n as i64));
    message.integer(2, kind).part(8, name).part(9, raw).bytes
}

/// An input or output of any number of points, each of this shape.
pub(super) fn port(name: &str, kind: i64, shape: &[usize]) -> Vec<u8> {
    let points = Message::default().part(1, Message::default().part(2, "n").bytes);
    let with = |m: Message, &n: &usize| m.part(1, Message::default().integer(1, n as i64).bytes);
    let shape = shape.iter().fold(points, with).bytes;
    let tensor = Message::default().integer(1, kind).part(2, shape).bytes;
    Message::default().part(1, name).part(2, Message::default().part(1, tensor).bytes).bytes
}
