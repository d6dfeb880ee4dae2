//! Where the buffers of a tile are: two that are never needed at the same time may have the same place.

/// When a buffer is needed, from one step to another, and how large it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Live {
    pub from: usize,
    pub to: usize,
    pub len: usize,
}

/// A place for each buffer that is needed at all, and the length of the whole.
pub(super) fn allocate(live: &[Option<Live>]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..live.len()).filter(|&id| live[id].is_some()).collect();
    order.sort_by_key(|&id| live[id].map(|l| (l.from, id)));
    let mut offsets = vec![0; live.len()];
    // what is in use, by where it starts
    let mut used: Vec<(usize, usize, usize)> = Vec::new();
    let mut total = 0;
    for id in order {
        let Live { from, to, len } = live[id].expect("filtered above");
        used.retain(|&(_, _, last)| last >= from);
        // the first gap that is large enough
        let mut at = 0;
        for &(start, end, _) in &used {
            if start >= at + len {
                break;
            }
            at = at.max(end);
        }
        let place = used.partition_point(|&(start, ..)| start < at);
        used.insert(place, (at, at + len, to));
        offsets[id] = at;
        total = total.max(at + len);
    }
    (offsets, total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_that_are_needed_together_are_apart() {
        let mut state = 7u64;
        let mut random = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % n
        };
        let live: Vec<Option<Live>> = (0..200)
            .map(|_| {
                let from = random(100) as usize;
                (random(10) > 0).then(|| Live { from, to: from + random(20) as usize, len: 1 + random(9) as usize })
            })
            .collect();
        let (offsets, total) = allocate(&live);
        let mut most = 0;
        for (i, a) in live.iter().enumerate().filter_map(|(i, l)| Some((i, (*l)?))) {
            assert!(offsets[i] + a.len <= total);
            let mut together = 0;
            for (j, b) in live.iter().enumerate().filter_map(|(j, l)| Some((j, (*l)?))) {
                if a.from <= b.to && b.from <= a.to {
                    let apart = offsets[i] >= offsets[j] + b.len || offsets[j] >= offsets[i] + a.len;
                    assert!(i == j || apart, "{a:?} at {} and {b:?} at {}", offsets[i], offsets[j]);
                }
                together += if b.from <= a.from && a.from <= b.to { b.len } else { 0 };
            }
            most = most.max(together);
        }
        assert!(total <= 2 * most, "{total} for {most}");
    }
}
