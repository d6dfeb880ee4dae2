//! The book's code: every block of Rust on its pages is a doctest of this crate. `problems` has the worked problems.

/// Makes a module of each page that has Rust on it, which only `cargo test --doc` sees.
macro_rules! pages {
    ($($module:ident $file:literal,)*) => {
        $(#[cfg(doctest)]
        #[doc = include_str!(concat!("src/", $file))]
        pub mod $module {})*

        /// The pages above.
        pub const PAGES: &[&str] = &[$($file),*];
    };
}

pages! {
    derivations_modes "derivations/modes.md",
    derivations_plan "derivations/plan.md",
    howto_bring_onnx "howto/bring-onnx.md",
    howto_bring_torch "howto/bring-torch.md",
    howto_check "howto/check.md",
    howto_gpu "howto/gpu.md",
    howto_layer "howto/layer.md",
    howto_request "howto/request.md",
    howto_train "howto/train.md",
    start_rust "start/rust.md",
}

#[cfg(test)]
mod tests {
    use super::PAGES;
    use std::{fs, path::Path};

    /// Pages below `folder` with a block that is Rust and not cut out of the source.
    fn with_rust(folder: &Path, pages: &mut Vec<String>) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                with_rust(&path, pages);
            } else if path.extension().is_some_and(|e| e == "md") {
                let text = fs::read_to_string(&path).unwrap();
                if text.lines().any(|l| l.starts_with("```rust") && !l.contains("ignore")) {
                    pages.push(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
    }

    #[test]
    fn no_page_is_forgotten() {
        let mut found = Vec::new();
        with_rust(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        found.sort();
        let mut listed = PAGES.to_vec();
        listed.sort();
        assert_eq!(found, listed);
    }

    /// rustdoc takes a block without a language for Rust, and mdBook sets it in no colour.
    #[test]
    fn every_block_names_its_language() {
        fn walk(folder: &Path) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path);
                } else if path.extension().is_some_and(|e| e == "md") {
                    let text = fs::read_to_string(&path).unwrap();
                    for (i, fence) in text.lines().filter(|l| l.starts_with("```")).enumerate() {
                        assert_eq!(fence == "```", i % 2 == 1, "{}: {fence}", path.display());
                    }
                }
            }
        }
        walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    }
}
