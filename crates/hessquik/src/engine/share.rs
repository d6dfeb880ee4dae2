//! Threads that have no tile of their own share the large products of others: results are cut into rows, each of which is
//! computed as if alone, so that the bits do not depend on who did.
use super::threads;
use std::cell::Cell;
use std::ops::Range;

thread_local! {
    /// How many threads share the large products of the tile that this thread works on.
    static THREADS: Cell<usize> = const { Cell::new(1) };
}

/// Sets how many threads share until it is dropped.
struct Sharing {
    before: usize,
}

impl Drop for Sharing {
    fn drop(&mut self) {
        THREADS.set(self.before);
    }
}

/// One of so many `tiles` that go on at once.
pub(crate) fn one_of<R>(tiles: usize, tile: impl FnOnce() -> R) -> R {
    let threads = threads::count() / tiles.max(1);
    let _sharing = Sharing { before: THREADS.replace(threads.max(1)) };
    tile()
}

/// Calls `part` with all `rows`, and the matrix `c` that they are, with `stride` entries from row to row; in several parts
/// of `least` rows or more, multiples of `unit`, where threads share.
pub(crate) fn rows_of<F: Send>(
    rows: usize,
    (unit, least): (usize, usize),
    (c, stride): (&mut [F], usize),
    part: &(impl Fn(Range<usize>, &mut [F]) + Sync),
) {
    halves(0..rows, THREADS.get().min(rows / least), unit, (c, stride), part);
}

fn halves<F: Send>(
    rows: Range<usize>,
    parts: usize,
    unit: usize,
    (c, stride): (&mut [F], usize),
    part: &(impl Fn(Range<usize>, &mut [F]) + Sync),
) {
    let upper = parts / 2;
    let cut = if parts < 2 { 0 } else { rows.len() * upper / parts / unit * unit };
    if cut == 0 {
        return part(rows, c);
    }
    let (middle, (top, bottom)) = (rows.start + cut, c.split_at_mut(cut * stride));
    threads::join(
        || halves(rows.start..middle, upper, unit, (top, stride), part),
        || halves(middle..rows.end, parts - upper, unit, (bottom, stride), part),
    );
}
