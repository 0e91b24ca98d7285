// Golden files of QNAT version 1, by the crate that made it up.
//
//     cargo run --release -- ../../../packages/qnat-writer/src/goldens
mod goldens;

fn main() {
    let folder = std::env::args().nth(1).expect("name a folder to write to");
    goldens::write_goldens(folder.as_ref(), "v1", "1.0.5");
}
