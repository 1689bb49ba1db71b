//! The example for Ansible: applied by Terraform, installed on this machine by a real playbook run.

use std::path::Path;

use foremesh_acceptance_tests::{Ansible, Envoy, need};

use crate::shop::{files, shop, terraform_in};

#[test]
fn the_playbook_installs_what_terraform_planned() {
    let (terraform_program, envoy, ansible) = (need!(Terraform), need!(Envoy), need!(Ansible));
    let workspace = shop();
    workspace.copy("examples/ansible", ".");
    let terraform = terraform_in(terraform_program.clone(), &workspace);
    terraform.apply(&[]);

    let ansible = Ansible::new(ansible, &workspace.join(".ansible"));
    let destination = format!(
        "foremesh_envoy_destination={}",
        workspace.join("installed").display()
    );
    let binary = format!("foremesh_envoy_binary={}", envoy.display());
    let program = format!("terraform_binary={}", terraform_program.display());
    let arguments = [
        "-i",
        "inventory.yml",
        "playbook.yml",
        "-e",
        &destination,
        "-e",
        &binary,
        "-e",
        &program,
    ];
    let play = |folder: &Path| ansible.play(folder, &arguments, None);
    let first = play(workspace.path()).expect_code(0);
    assert!(first.stdout.contains("failed=0"), "{first}");

    let planned = files(&workspace.join("stacks/eu-west-3/envoy"));
    let installed = files(&workspace.join("installed"));
    assert_eq!(installed.len(), shop_telemetry::shop::SERVICES.len());
    for (name, content) in &installed {
        assert!(planned[name] == *content, "{name} differs");
        Envoy::validate(&envoy, &workspace.join("installed").join(name)).expect_code(0);
    }

    // A second run changes nothing; an altered file stops the play before anything is written.
    assert!(
        play(workspace.path())
            .expect_code(0)
            .stdout
            .contains("changed=0")
    );
    let cart = "stacks/eu-west-3/envoy/shop.cart/envoy.yaml";
    workspace.write(cart, workspace.read(cart) + "# altered\n");
    let refused = play(workspace.path()).expect_code(2);
    assert!(
        refused
            .stdout
            .contains("was altered: run terraform apply again"),
        "{refused}"
    );
    assert_eq!(files(&workspace.join("installed")), installed);
}
