//! Work on all cores whose results come in the order of what they were made from.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Applies `work` to every item, on so many threads; `none` for what was not done because `stop` was set.
/// `tell` is given how many are done, now and then.
pub fn parallel<T: Sync, R: Send>(
    items: &[T],
    jobs: usize,
    stop: &AtomicBool,
    tell: impl Fn(u64) + Sync,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<Option<R>> {
    let next = AtomicUsize::new(0);
    let mut results: Vec<Option<R>> = items.iter().map(|_| None).collect();
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1).min(items.len()) {
            scope.spawn(|| {
                let mut own = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { break };
                    own.push((index, work(item)));
                    if index.is_multiple_of(64) {
                        tell(index as u64);
                    }
                }
                let mut done = done.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                done.extend(own);
            });
        }
    });
    let done = done
        .into_inner()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    for (index, result) in done {
        results[index] = Some(result);
    }
    results
}
