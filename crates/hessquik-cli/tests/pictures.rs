//! The pictures that commands draw: their formats, what they show, and whose files they replace.
mod support;
use support::Folder;

/// The pixels of a PNG: width, and three bytes each.
fn pixels(bytes: &[u8]) -> (usize, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Rgb, png::BitDepth::Eight));
    (info.width as usize, pixels)
}

/// The images within an SVG.
fn images(svg: &str) -> Vec<(usize, Vec<u8>)> {
    use base64::Engine;
    let data = svg.split("base64,").skip(1).map(|rest| rest.split('"').next().unwrap());
    data.map(|text| pixels(&base64::engine::general_purpose::STANDARD.decode(text).unwrap())).collect()
}

fn model(folder: &Folder, preset: &str) {
    folder.run(&format!("new --preset {preset} --dtype f64 -o model.safetensors")).ok();
}

#[test]
fn maps_over_a_grid() {
    let folder = Folder::new();
    model(&folder, "pinn");
    let line = "eval model.safetensors --grid 20 --low -2,0 --high 1,3 -r value,laplacian -o out.safetensors";
    folder.run(&format!("{line} --plot fields.svg")).ok();
    let values = folder.tensors("out.safetensors");
    assert_eq!(values["value"].shape, [400, 1]);
    let svg = std::fs::read_to_string(folder.path("fields.svg")).unwrap();
    for word in ["value", "laplacian", "x0", "x1", "written by hessquik eval"] {
        assert!(svg.contains(word), "{word}");
    }
    let images = images(&svg);
    assert_eq!(images.len(), 2);
    // the largest value has the last colour of the scale, at its place: the second input upwards
    let numbers = &values["value"].numbers;
    let largest = (0..400).max_by(|&a, &b| numbers[a].total_cmp(&numbers[b])).unwrap();
    let (width, rgb) = &images[0];
    assert_eq!((*width, rgb.len()), (20, 3 * 400));
    let (column, row) = (largest / 20, 19 - largest % 20);
    let at = 3 * (row * 20 + column);
    assert!(rgb[at] > 240 && rgb[at + 1] > 220 && rgb[at + 2] < 60, "{:?}", &rgb[at..at + 3]);
    // the points of the grid are those of a file
    folder.run("eval model.safetensors --grid 20 -r value -o again.npz --plot fields.png --axes 1,0").ok();
    let (width, rgb) = pixels(&std::fs::read(folder.path("fields.png")).unwrap());
    assert!(width > 400 && rgb.iter().any(|v| *v < 200));
}

#[test]
fn grids_are_slices_and_lines() {
    let folder = Folder::new();
    model(&folder, "icnn");
    folder.run("eval model.safetensors --grid 5 --low 0,-1,4 --high 2,1,4 -r value -o slice.csv --plot slice.svg").ok();
    let text = std::fs::read_to_string(folder.path("slice.csv")).unwrap();
    let rows: Vec<Vec<f64>> =
        text.lines().skip(1).map(|line| line.split(',').map(|field| field.parse().unwrap()).collect()).collect();
    assert_eq!(rows.len(), 25);
    let run = folder.run("eval model.safetensors --grid 7 --axes 2 -r value,gradient -o line.npz --plot line.svg");
    run.ok();
    let svg = std::fs::read_to_string(folder.path("line.svg")).unwrap();
    assert!(svg.contains("gradient_2") && svg.contains("x2"));
    let run = folder.run("eval model.safetensors --grid 4 -r value,gradient,hessian -o many.npz --plot many.svg");
    assert!(run.ok().stderr.contains("first 12 of 13 results"));
    for (options, message) in [
        ("--grid 4 --axes 3", "inputs 0 to 2"),
        ("--grid 4 --axes 1,1", "two different"),
        ("--grid 4 --low 1,2", "expected 1 number or 3"),
        ("--grid 4 --low 2", "goes from 2 to 1"),
        ("--grid 4 --low nan", "finite"),
        ("--grid 4 -i x.npy", "cannot be used with"),
        ("--plot a.svg -i x.npy", "--grid"),
        ("--grid 4 --plot a.pdf", ".svg or .png"),
        ("--grid 0", "at least 1"),
    ] {
        folder.run(&format!("eval model.safetensors -r value -o no.npz {options}")).fails(2, &[message]);
    }
    assert!(!folder.path("no.npz").exists() && !folder.path("a.svg").exists());
}

#[test]
fn errors_of_checks_and_costs_of_plans() {
    let folder = Folder::new();
    model(&folder, "pinn");
    folder.run("check model.safetensors --order 3 --plot check.svg").ok();
    let svg = std::fs::read_to_string(folder.path("check.svg")).unwrap();
    for word in ["E0", "E1", "E2", "step h", "forward mode", "in the weights", "order 3"] {
        assert!(svg.contains(word), "{word}");
    }
    folder.run("check model.safetensors --plot check.png").ok();
    pixels(&std::fs::read(folder.path("check.png")).unwrap());
    folder.run("explain model.safetensors -r hessian --plot costs.svg").ok();
    let svg = std::fs::read_to_string(folder.path("costs.svg")).unwrap();
    assert!(svg.contains("hessian, auto") && svg.contains("milliseconds"));
    folder.run("new --preset deeponet -o graph.safetensors").ok();
    folder.run("explain graph.safetensors -r value --plot none.svg").fails(2, &["no plans to compare"]);
    folder.run("peaks --grid 30 -o peaks.npz --plot peaks.svg").ok();
    let svg = std::fs::read_to_string(folder.path("peaks.svg")).unwrap();
    assert_eq!(images(&svg).len(), 6);
    // maps are small, whatever they show
    assert!(svg.len() < 100_000, "{}", svg.len());
}

#[test]
fn pictures_replace_only_their_own() {
    let folder = Folder::new();
    model(&folder, "pinn");
    for ending in ["svg", "png"] {
        folder.run(&format!("check model.safetensors --plot a.{ending}")).ok();
        folder.run(&format!("check model.safetensors --plot a.{ending}")).ok();
        let line = format!("explain model.safetensors -r hessian --plot a.{ending}");
        folder.run(&line).fails(2, &["exists", "hessquik check", "--force"]);
        folder.run(&format!("{line} --force")).ok();
        folder.write(&format!("b.{ending}"), "mine");
        folder.run(&format!("check model.safetensors --plot b.{ending}")).fails(2, &["exists"]);
        assert_eq!(std::fs::read(folder.path(&format!("b.{ending}"))).unwrap(), b"mine");
    }
    let run = folder.run("check model.safetensors --plot -");
    assert!(run.ok().stdout.starts_with("<svg"));
}
