//! Where files are written and read: what stays, what is refused, and in which words.
use hessquik::{Activation, Architecture, Error, Init, Network, WholeFile, fully_connected, wrapper, write_whole};
use std::io::Write;

fn network(seed: u64) -> Network<f64> {
    fully_connected(&[2, 3], Activation::Tanh, &mut Init::seed(seed)).unwrap()
}

#[track_caller]
fn fails<T>(result: Result<T, Error>, words: &[&str]) {
    let Err(error) = result else { panic!("expected an error") };
    let message = error.to_string();
    assert!(words.iter().all(|word| message.contains(word)), "no {words:?} in {message:?}");
}

#[test]
fn missing_folders_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b.safetensors");
    fails(network(0).save(&path), &["b.safetensors", "does not exist", "make it first"]);
    fails(network(0).save(folder.path()), &["is a folder", "regular file"]);
    fails(Network::<f64>::load(folder.path()), &["is a folder", ".safetensors"]);
}

#[test]
fn a_draft_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    std::fs::write(&path, "old").unwrap();
    let draft = WholeFile::create(&path).unwrap();
    draft.as_file().write_all(b"new").unwrap();
    drop(draft);
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};

    #[test]
    fn permissions_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.safetensors");
        for mode in [0o600, 0o640, 0o755, 0o604] {
            network(0).save(&path).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            network(1).save(&path).unwrap();
            write_whole(&path, b"text").unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, mode);
        }
    }

    /// Links stay, also those that lead to nothing yet, one after another.
    #[test]
    fn links_stay() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("far")).unwrap();
        symlink("far/m.safetensors", at("one")).unwrap();
        symlink("one", at("two")).unwrap();
        network(0).save(at("two")).unwrap();
        assert!(at("one").is_symlink() && at("two").is_symlink() && at("far/m.safetensors").is_file());
        symlink("round", at("round")).unwrap();
        fails(network(0).save(at("round")), &["round"]);
        symlink("gone/m.safetensors", at("gone")).unwrap();
        fails(network(0).save(at("gone")), &["gone"]);
        assert!(at("gone").is_symlink());
    }

    #[test]
    fn devices_and_fifos_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let link = folder.path().join("link");
        symlink("/dev/null", &link).unwrap();
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for (path, word) in [(&fifo, "a FIFO"), (&link, "a device"), (&socket, "a socket")] {
            fails(network(0).save(path), &[word, "expected a regular file"]);
            fails(write_whole(path, b""), &[word]);
            // reading would wait for ever
            fails(Network::<f64>::load(path), &[word, ".safetensors"]);
            fails(hessquik::weights_dtype(path), &[word]);
            fails(network(0).load_weights(path), &[word]);
        }
        assert!(std::fs::metadata(&fifo).unwrap().file_type().is_fifo() && link.is_symlink());
        assert!(std::fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    }

    #[test]
    fn a_file_that_may_not_be_written_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.safetensors");
        network(0).save(&path).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o444)).unwrap();
        if std::fs::OpenOptions::new().write(true).open(&path).is_ok() {
            return; // this user may write everywhere
        }
        fails(network(1).save(&path), &["ermission"]);
    }
}

/// What a file is that is no model, and what makes one.
#[test]
fn other_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    let cases: [(&[u8], &str); 9] = [
        (b"PK\x03\x04\x14\x00 and so on", "save_file"),
        (b"\x80\x02}q\x00X\x03\x00", "pickle"),
        (b"0.1,0.2\n0.3,0.4\n", ".csv"),
        (b"x\n1\n", ".csv"),
        (b"{\"type\": \"single\"}", "hessquik new"),
        (b"\x93NUMPY\x01\x00 and so on", ".npy"),
        (b"\x1f\x8b\x08\x00 and so on", "gunzip"),
        (b"\x89HDF\r\n\x1a\n and so on", "HDF5"),
        (b"", "empty"),
    ];
    for (bytes, word) in cases {
        std::fs::write(&path, bytes).unwrap();
        fails(Network::<f64>::load(&path), &["m.safetensors", "not a safetensors file", word]);
        fails(hessquik::weights_dtype(&path), &[word]);
    }
}

/// The bytes of a model file with another header.
fn edited(network: &Network<f64>, edit: impl Fn(&str) -> String) -> Vec<u8> {
    let bytes = network.to_bytes().unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = edit(std::str::from_utf8(&bytes[8..8 + length]).unwrap());
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &bytes[8 + length..]].concat()
}

/// PyTorch's wrappers put a prefix before all names: it is left out, and told.
#[test]
fn prefixes_of_wrappers() {
    let network = network(3);
    for prefix in ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."] {
        let bytes = edited(&network, |header| header.replace("\"0.", &format!("\"{prefix}0.")));
        assert_eq!(Network::<f64>::from_bytes(&bytes).unwrap().flat_weights(), network.flat_weights(), "{prefix}");
        assert_eq!(wrapper(&bytes).as_deref(), Some(prefix));
    }
    assert_eq!(wrapper(&network.to_bytes().unwrap()), None);
    // not all names have it
    let bytes = edited(&network, |header| header.replace("\"0.K", "\"module.0.K"));
    fails(Network::<f64>::from_bytes(&bytes), &["0.K"]);
    assert_eq!(wrapper(&bytes), None);
}

/// Of two tensors or keys of one name, readers would keep one.
#[test]
fn names_that_are_there_twice() {
    let network = network(0);
    let bytes = edited(&network, |header| {
        let at = header.find("\"0.K\"").unwrap();
        let end = at + header[at..].find('}').unwrap() + 1;
        format!("{}{},{}", &header[..at], &header[at..end], &header[at..])
    });
    fails(Network::<f64>::from_bytes(&bytes), &["0.K appears twice"]);
    let bytes = edited(&network, |header| {
        header.replacen("{\"__metadata__\":{", "{\"__metadata__\":{\"architecture\":\"{}\",", 1)
    });
    fails(Network::<f64>::from_bytes(&bytes), &["architecture appears twice"]);
}

#[test]
fn settings_that_json_cannot_hold() {
    let softplus = |threshold| Activation::Softplus { beta: 1.0, threshold };
    let network = fully_connected::<f64>(&[2, 3], softplus(f64::INFINITY), &mut Init::seed(0)).unwrap();
    fails(network.to_bytes(), &["threshold", "layer 0", "finite"]);
    let layer = |more: &str| format!(r#"{{"type": "resnet", "width": 2, {more}}}"#);
    for (json, words) in [
        (layer(r#""h": Infinity"#), ["finite", "JSON"]),
        (layer(r#""h": -Infinity"#), ["finite", "JSON"]),
        (layer(r#""h": NaN"#), ["finite", "JSON"]),
        (layer(r#""h": 1e999"#), ["out of range", "finite"]),
    ] {
        fails(Architecture::from_json(&json), &words);
    }
}

#[test]
fn descriptions_as_people_write_them() {
    let json = |act: &str| format!(r#"{{"type": "single", "in_features": 2, "out_features": 3, "act": {act}}}"#);
    let read = |text: &str| Architecture::from_json(text);
    let wanted = |name: &str| read(&json(&format!(r#"{{"type": "{name}"}}"#))).unwrap();
    for (name, of) in [
        ("tanh", "tanh"),
        ("Tanh", "tanh"),
        ("antiTanh", "anti_tanh"),
        ("anti_tanh", "anti_tanh"),
        ("antiTanhActivation", "anti_tanh"),
        ("SiLU", "silu"),
        ("GELU", "gelu"),
        ("Softplus", "softplus"),
        ("softplusActivation", "softplus"),
        ("quadraticActivation", "quadratic"),
    ] {
        assert_eq!(read(&json(&format!("\"{name}\""))).unwrap(), wanted(of), "{name}");
    }
    for kind in ["resnet\", \"width\": 2", "icnn\", \"input_dim\": 2, \"out_features\": 3"] {
        read(&format!(r#"{{"type": "{kind}, "act": "sin"}}"#)).unwrap();
    }
    assert_eq!(read(&format!("\u{feff}{}", json("\"tanh\""))).unwrap(), wanted("tanh"));
    fails(read(&json("\"tahn\"")), &["tahn", "did you mean tanh?"]);
    fails(read(&json(r#"{"type": "sigmod"}"#)), &["sigmod", "did you mean sigmoid?"]);
    fails(read(r#"{"type": "singel", "in_features": 2}"#), &["did you mean single?"]);
    fails(read(r#"{"type": "single", "in_feature": 2}"#), &["did you mean in_features?"]);
    fails(read(&json("3")), &["3"]);
}

#[test]
fn names_that_were_meant() {
    fails(hessquik::Request::<f64>::parse("value,hesian"), &["\"hesian\"", "did you mean hessian?"]);
    fails("bakward".parse::<hessquik::Mode>(), &["\"bakward\"", "did you mean backward?"]);
    fails(hessquik::Request::<f64>::parse("colour"), &["known are"]);
}
