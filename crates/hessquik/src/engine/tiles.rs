//! How many samples go through all sweeps at once.
use super::across::at_once;
use super::call::Call;
use super::program::Stage;
use crate::Real;

/// Bytes that the state of a tile should stay within, so that it lives in the second-level cache; a pullback has twice
/// as many, since most of them rest between the sweeps and their reverse.
const BYTES: usize = 768 << 10;
/// Bytes of the results of a tile, at most.
const RESULTS: usize = 1 << 20;
const MOST: usize = 252;
/// Rows of the products: whole blocks of them.
const BLOCK: usize = 12;

/// Bytes that samples side by side should stay within, and as many times as they are taken at once a block of them may have:
/// what each sweep costs in itself is much of the work of few features.
const ACROSS: usize = 512 << 10;
const TIMES: usize = 12;

/// Weights that are too large for the caches come from memory once for each tile, and so do the sums of their gradients: a
/// tile has a row (of values, adjoints and tangents together) for so many entries of the largest matrix, though its state
/// then leaves the cache; a pullback, which writes as much as it reads, twice as many rows.
const WEIGHTS: usize = 440;
/// As many samples are enough for any matrix.
const ENOUGH: usize = 126;

impl<F: Real> Call<F> {
    /// Samples of a tile, and whether fewer points are cut evenly: a tile of a few would take nearly as long.
    pub(super) fn tiles(&self) -> (usize, bool) {
        let bytes = if self.reverses { 2 * BYTES } else { BYTES };
        let tile = bytes / (self.floats_per_sample() * size_of::<F>());
        // a whole block of rows for the products is worth some cache
        let tile = if (6..BLOCK).contains(&tile) { BLOCK } else { tile };
        // results are written and left behind, but few large ones should keep all threads busy
        let results: usize = self.fields.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        let most = if self.across { MOST.max(TIMES * at_once::<F>()) } else { MOST };
        let tile = tile.min(RESULTS / (results * size_of::<F>()).max(1)).clamp(1, most);
        let weights = if self.reverses { WEIGHTS / 2 } else { WEIGHTS };
        let wide = (self.largest_matrix() / weights / self.rows_per_sample()).min(ENOUGH);
        let even = wide > tile;
        let tile = tile.max(wide);
        let block = if self.across { self.block() } else { BLOCK };
        (if tile > block { tile - tile % block } else { tile }, even)
    }

    /// Samples that go side by side through all sweeps.
    pub fn block(&self) -> usize {
        let once = at_once::<F>();
        once * (ACROSS / (self.floats_per_sample() * size_of::<F>() * once)).clamp(1, TIMES)
    }

    /// Samples of a tile where there are so many points.
    pub fn tile_for(&self, points: usize) -> usize {
        if !self.even || points == 0 {
            return self.tile;
        }
        points.div_ceil(points.div_ceil(self.tile)).next_multiple_of(BLOCK / 2).min(self.tile)
    }

    /// Entries of the largest matrix.
    fn largest_matrix(&self) -> usize {
        let of = |stage: &Stage<F>| match stage {
            Stage::Site(site) => [&site.m, &site.s, &site.w].map(|lin| lin.largest()).into_iter().max().unwrap_or(0),
            Stage::Smooth(_) => 0,
        };
        self.program.stages.iter().map(of).max().unwrap_or(0)
    }

    /// Rows of values, adjoints and tangents of a sample.
    fn rows_per_sample(&self) -> usize {
        let adjoints = if self.lowest < self.program.depth() { self.q } else { 0 };
        1 + adjoints + self.tasks.iter().map(|t| t.start.r).sum::<usize>()
    }

    /// Entries of working memory per sample.
    fn floats_per_sample(&self) -> usize {
        let (program, q, reverse) = (&self.program, self.q, self.reverses);
        let (depth, sites) = (program.depth(), program.sites());
        let widest = (0..=depth).map(|i| program.width(i)).max().unwrap_or(0);
        // states are updated in place unless a pullback wants them
        let states = if reverse { (0..=depth).map(|i| program.width(i)).sum() } else { widest };
        let mut floats = states + (self.order + 1) * sites;
        if self.lowest < depth {
            floats += q * (states + if reverse { 2 * sites } else { sites + widest });
        }
        let mut largest = 0;
        for t in &self.tasks {
            let r = t.start.r;
            let cores: usize = t.plan.pivots.iter().map(|&p| q * program.width(p).pow(2)).sum();
            let carried = if t.plan.prefix > 0 { 3 * t.kind.rows() * widest } else { 0 };
            let pivots: usize = t.plan.pivots.iter().map(|&p| program.width(p) * (sites + states)).max().unwrap_or(0);
            let slots = if reverse { q * t.kind.len() } else { 0 };
            largest = largest.max(r * (sites + states) + pivots + cores + carried + slots);
        }
        floats += largest;
        if reverse { 2 * floats } else { floats }.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Memory, Program, Schedules};
    use crate::{Activation, Init, Request, fully_connected};
    use std::sync::Arc;

    fn call<F: Real>(width: usize, depth: usize, reverse: bool) -> Call<F> {
        let sizes: Vec<usize> = [2].into_iter().chain(std::iter::repeat_n(width, depth)).chain([1]).collect();
        let network = fully_connected::<F>(&sizes, Activation::Tanh, &mut Init::seed(0)).unwrap();
        let program = Arc::new(Program::lower(&network, Memory::default(), Schedules::default()).unwrap());
        Call::new(program, &Request::new().value().gradient().laplacian(), reverse, false).unwrap()
    }

    /// No neighbouring width falls back to tiles of a few points, for which all weights would pass the caches.
    #[test]
    #[cfg_attr(miri, ignore = "large matrices")]
    fn tiles_grow_with_the_weights() {
        fn check<F: Real>(widths: &[usize]) {
            for reverse in [false, true] {
                let tiles: Vec<usize> = widths.iter().map(|&width| call::<F>(width, 3, reverse).tile).collect();
                assert!(tiles.iter().all(|&tile| tile >= 12), "{} {reverse}: {tiles:?}", F::NAME);
                assert!(tiles[widths.len() - 1] >= 96, "{} {reverse}: {tiles:?}", F::NAME);
            }
        }
        check::<f64>(&[64, 128, 256, 384, 448, 512]);
        check::<f32>(&[64, 128, 256, 384, 448, 512]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "large matrices")]
    fn wide_tiles_are_even() {
        let wide = call::<f64>(512, 2, true);
        for points in [1, 7, 64, 121, 130, 256, 1000, 4096] {
            let (tile, count) = (wide.tile_for(points), points.div_ceil(wide.tile));
            assert!(tile <= wide.tile && points.div_ceil(tile) == count, "{points}: {tile} of {}", wide.tile);
            assert!(tile * count < points + 12 * count, "{points}: {tile}");
        }
        let narrow = call::<f64>(16, 2, true);
        assert!([1, 100, 1000].iter().all(|&points| narrow.tile_for(points) == narrow.tile));
    }
}
