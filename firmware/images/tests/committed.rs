//! The committed images, their manifest and the firmware's sources agree. Nothing is built here.

use std::fs;

use firmware_images::manifest::Manifest;
use firmware_images::{Project, sha256};

#[test]
fn every_committed_image_is_the_one_in_the_manifest() {
    let project = Project::of_this_program();
    let manifest = Manifest::read(&project.manifest()).expect("the manifest reads");
    let images = project.every_image().expect("the museum reads");
    assert_eq!(manifest.images.len(), images.len());
    for image in &images {
        let entry = manifest.entry(&image.name).expect("it is in the manifest");
        assert_eq!(entry.features, image.features, "\"{}\"", image.name);
        let bytes = fs::read(project.image(image)).expect("the image reads");
        assert_eq!(sha256(&bytes), entry.sha256, "\"{}\"", image.name);
    }
}

#[test]
fn the_images_were_built_from_the_sources_as_they_are() {
    let project = Project::of_this_program();
    let manifest = Manifest::read(&project.manifest()).expect("the manifest reads");
    let sources = project.source_hash().expect("the sources read");
    assert_eq!(
        sources, manifest.sources,
        "the firmware's sources changed; hint: cargo run -p firmware-images -- build"
    );
}

#[test]
fn no_image_holds_a_path_of_the_machine_that_built_it() {
    let project = Project::of_this_program();
    for image in &project.every_image().expect("the museum reads") {
        let bytes = fs::read(project.image(image)).expect("the image reads");
        for path in ["/home/", "/root/", "/Users/", ".cargo/registry"] {
            let found = bytes
                .windows(path.len())
                .any(|part| part == path.as_bytes());
            assert!(!found, "\"{}\" holds \"{path}\"", image.name);
        }
    }
}
