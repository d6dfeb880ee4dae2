//! What is used of XLA's C interface for custom calls (`xla/ffi/api/c_api.h` in jaxlib), and safe access to it.
use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr::{null_mut, slice_from_raw_parts};

const F32: c_int = 11;
const F64: c_int = 12;
const STRING: c_int = 4;
const EXECUTE: c_int = 3;
const METADATA: c_int = 1;
const INVALID_ARGUMENT: c_int = 3;

/// An error that XLA owns; null is success.
pub type Error = *mut c_void;

#[repr(C)]
pub struct Extension {
    struct_size: usize,
    kind: c_int,
    next: *mut Extension,
}

#[repr(C)]
struct Version {
    struct_size: usize,
    extension: *mut Extension,
    major: c_int,
    minor: c_int,
}

#[repr(C)]
struct Metadata {
    struct_size: usize,
    version: Version,
    traits: u32,
}

#[repr(C)]
struct MetadataExtension {
    base: Extension,
    metadata: *mut Metadata,
}

#[repr(C)]
struct ErrorArguments {
    struct_size: usize,
    extension: *mut Extension,
    message: *const c_char,
    code: c_int,
}

#[repr(C)]
struct Api {
    struct_size: usize,
    extension: *mut Extension,
    version: Version,
    internal: *const c_void,
    create_error: extern "C" fn(*mut ErrorArguments) -> Error,
}

#[repr(C)]
struct Span {
    start: *const u8,
    len: usize,
}

#[repr(C)]
struct RawBuffer {
    struct_size: usize,
    extension: *mut Extension,
    dtype: c_int,
    data: *mut c_void,
    rank: i64,
    dims: *const i64,
}

#[repr(C)]
struct List {
    struct_size: usize,
    extension: *mut Extension,
    len: i64,
    types: *const c_int,
    items: *const *mut RawBuffer,
}

#[repr(C)]
struct Attributes {
    struct_size: usize,
    extension: *mut Extension,
    len: i64,
    types: *const c_int,
    names: *const *const Span,
    items: *const *const Span,
}

/// Everything about one call.
#[repr(C)]
pub struct Frame {
    struct_size: usize,
    extension: *mut Extension,
    api: *const Api,
    context: *mut c_void,
    stage: c_int,
    arguments: List,
    results: List,
    attributes: Attributes,
}

/// An array in XLA's memory, in C order.
#[derive(Clone, Copy)]
pub struct Buffer<'a>(&'a RawBuffer);

/// A slice of what XLA hands over as an address and a length; the address of an empty one may be null.
///
/// # Safety
/// `len` valid entries at `start` for as long as `'a`.
unsafe fn slice<'a, T>(start: *const T, len: usize) -> &'a [T] {
    // SAFETY: as the caller says.
    if len == 0 { &[] } else { unsafe { &*slice_from_raw_parts(start, len) } }
}

impl<'a> Buffer<'a> {
    /// The sizes of the axes.
    pub fn dims(self) -> &'a [i64] {
        // SAFETY: XLA gives `rank` sizes.
        unsafe { slice(self.0.dims, self.0.rank as usize) }
    }

    /// Whether the entries are of double precision; `None` if they are of neither.
    pub fn double(self) -> Option<bool> {
        match self.0.dtype {
            F32 => Some(false),
            F64 => Some(true),
            _ => None,
        }
    }

    fn len<F>(self) -> Result<usize, String> {
        let wanted = if size_of::<F>() == 8 { F64 } else { F32 };
        if self.0.dtype != wanted {
            return Err("all arrays must be of one precision".into());
        }
        Ok(self.dims().iter().product::<i64>() as usize)
    }

    /// The entries, for `F` of the precision of the buffer.
    pub fn read<F>(self) -> Result<&'a [F], String> {
        let len = self.len::<F>()?;
        // SAFETY: an argument of that many entries, which XLA does not write during the call.
        Ok(unsafe { slice(self.0.data.cast(), len) })
    }

    /// The entries of a result, to be written.
    ///
    /// # Safety
    /// Once per result and call.
    pub unsafe fn write<F>(self) -> Result<&'a mut [F], String> {
        let len = self.len::<F>()?;
        // SAFETY: a result of that many entries, which XLA lends to this call alone.
        Ok(if len == 0 { &mut [] } else { unsafe { std::slice::from_raw_parts_mut(self.0.data.cast(), len) } })
    }
}

impl Frame {
    /// Answers XLA's question for the version of this interface, if that is what the call is about.
    pub fn answer_metadata(&mut self) -> bool {
        // SAFETY: XLA asks by an extension of this kind, whose layout has not changed since there is one.
        unsafe {
            let Some(extension) = self.extension.as_mut().filter(|e| e.kind == METADATA) else { return false };
            let metadata = &mut *(*(&raw mut *extension).cast::<MetadataExtension>()).metadata;
            // What is used here is the same in all versions 0.x so far, so the answer is that of the runtime.
            let runtime = self.api.as_ref().filter(|api| api.version.major == 0).map_or(1, |api| api.version.minor);
            metadata.version =
                Version { struct_size: size_of::<Version>(), extension: null_mut(), major: 0, minor: runtime };
            metadata.traits = 0;
        }
        true
    }

    /// Whether the call is to compute, rather than to prepare for that.
    pub fn executes(&self) -> bool {
        self.stage == EXECUTE
    }

    fn buffers(list: &List) -> Vec<Buffer<'_>> {
        // SAFETY: XLA gives as many buffers as it says; all arguments and results are buffers, tokens are never asked for.
        unsafe { slice(list.items, list.len as usize).iter().map(|&b| Buffer(&*b)).collect() }
    }

    /// The arguments.
    pub fn arguments(&self) -> Vec<Buffer<'_>> {
        Self::buffers(&self.arguments)
    }

    /// The results.
    pub fn results(&self) -> Vec<Buffer<'_>> {
        Self::buffers(&self.results)
    }

    /// The text attribute of this name.
    pub fn text(&self, name: &str) -> Result<&str, String> {
        let Attributes { len, types, names, items, .. } = self.attributes;
        // SAFETY: XLA gives `len` of each; an attribute of the type STRING is a span.
        let found = unsafe {
            let (types, names, items) =
                (slice(types, len as usize), slice(names, len as usize), slice(items, len as usize));
            let bytes = |span: *const Span| slice((*span).start, (*span).len);
            let at = (0..names.len()).find(|&i| bytes(names[i]) == name.as_bytes() && types[i] == STRING);
            at.map(|i| bytes(items[i]))
        };
        let bytes = found.ok_or_else(|| format!("the attribute {name} is missing"))?;
        std::str::from_utf8(bytes).map_err(|e| e.to_string())
    }

    /// An error with this message, or success.
    pub fn answer(&self, result: Result<(), String>) -> Error {
        let Err(message) = result else { return null_mut() };
        let message = CString::new(message.replace('\0', " ")).unwrap_or_default();
        let mut arguments = ErrorArguments {
            struct_size: size_of::<ErrorArguments>(),
            extension: null_mut(),
            message: message.as_ptr(),
            code: INVALID_ARGUMENT,
        };
        // SAFETY: XLA sets `api` in every call; it copies the message.
        unsafe { ((*self.api).create_error)(&raw mut arguments) }
    }
}
