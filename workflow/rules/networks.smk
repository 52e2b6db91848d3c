# in:   the sealed caches, <results>/manifest.csv, an encoder's weights, the head that a network begins with
# out:  <results>/members/<network>/…: the plan, and weights and steps of each training; what was best on val as heads
#       have it: <results>/heads/<encoder>.zarr/<network>, checkpoints/<encoder>/<network>.safetensors, runs/…


wildcard_constraints:
    network="|".join(map(re.escape, config["networks"])),
    member=r"rate[^/]+_decay[^/]+_seed\d+",


checkpoint plan_network:
    input:
        unpack(network_sources),
        manifest="<results>/manifest.csv",
        selection="<results>/selection.csv",
    output:
        plan="<results>/members/{network}/plan.json",
        receipt="<results>/receipts/plan_network/{network}.json",
    log:
        "<logs>/plan_network/{network}.log",
    conda:
        "../../environment.yml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=4000,
        vram_mb=config["gpu"]["vram_mb"],
    params:
        version=versions.NETWORKS,
        settings=network_settings,
        sources=network_flags,
        device=config["gpu"]["device"],
        vram_mb=config["gpu"]["vram_mb"],
    shell:
        '"$UNCHOKE_SCRIPTS"/warm plan_network'
        " {params.sources:q}"
        " --manifest {input.manifest:q}"
        " --selection {input.selection:q}"
        " --settings {params.settings:q}"
        " --device {params.device}"
        " --vram-mb {params.vram_mb}"
        " --threads {threads}"
        " --plan {output.plan:q}"
        " --receipt {output.receipt:q}"
        " > {log:q} 2>&1"


rule train_member:
    input:
        unpack(network_sources),
        unpack(network_start),
        manifest="<results>/manifest.csv",
        selection="<results>/selection.csv",
    output:
        member=update("<results>/members/{network}/{member}.safetensors"),
        run=update("<results>/members/{network}/{member}.json"),
        steps=update("<results>/members/{network}/{member}.steps.csv"),
        receipt="<results>/receipts/train_member/{network}/{member}.json",
    log:
        "<logs>/train_member/{network}/{member}.log",
    conda:
        "../../environment.yml"
    threads: GPU_THREADS
    resources:
        gpu=lambda wildcards: min(network_cards(wildcards), CARDS),
        mem_mb=network_mem_mb,
        vram_mb=config["gpu"]["vram_mb"],
    params:
        version=versions.NETWORKS,
        settings=member_settings,
        setting=member_flags,
        plan=lambda wildcards: str(network_plan(wildcards)),
        sources=network_flags,
        device=config["gpu"]["device"],
        vram_mb=config["gpu"]["vram_mb"],
        # Workers hold a card each; a training on several has processes of its own.
        alone=lambda wildcards: (
            "UNCHOKE_WARM=0" if network_cards(wildcards) > 1 else ""
        ),
    shell:
        'test -z "{params.alone}" || "$UNCHOKE_SCRIPTS"/warm --stop > /dev/null;'
        ' {params.alone} "$UNCHOKE_SCRIPTS"/warm train_member'
        " {params.sources:q}"
        " {params.setting:q}"
        " --manifest {input.manifest:q}"
        " --selection {input.selection:q}"
        " --settings {params.settings:q}"
        " --plan {params.plan:q}"
        " --device {params.device}"
        " --vram-mb {params.vram_mb}"
        " --threads {threads}"
        " --member {output.member:q}"
        " --steps {output.steps:q}"
        " --receipt {output.receipt:q}"
        " > {log:q} 2>&1"


for network, settings in config["networks"].items():

    # Test is read here, once, by the setting that is best on val.
    rule:
        name:
            f"choose_network_{network}"
        input:
            unpack(network_sources),
            members=members_of,
            manifest="<results>/manifest.csv",
            selection="<results>/selection.csv",
        output:
            metadata=update(
                f"<results>/heads/{settings['encoder'] or PIXELS}.zarr/{{network}}/zarr.json"
            ),
            checkpoint=update(
                f"<results>/checkpoints/{settings['encoder'] or PIXELS}/{{network}}.safetensors"
            ),
            run=update(
                f"<results>/runs/{settings['encoder'] or PIXELS}/{{network}}.json"
            ),
            receipt=f"<results>/receipts/choose_network/{{network}}.json",
        log:
            "<logs>/choose_network/{network}.log",
        wildcard_constraints:
            network=re.escape(network),
        conda:
            "../../environment.yml"
        threads: GPU_THREADS
        resources:
            gpu=1,
            mem_mb=4000,
            vram_mb=config["gpu"]["vram_mb"],
        params:
            version=versions.NETWORKS,
            settings=network_settings,
            sources=network_flags,
            device=config["gpu"]["device"],
            vram_mb=config["gpu"]["vram_mb"],
            group=subpath(output.metadata, parent=True),
        shell:
            '"$UNCHOKE_SCRIPTS"/warm choose_network'
            " {params.sources:q}"
            " --members {input.members:q}"
            " --manifest {input.manifest:q}"
            " --selection {input.selection:q}"
            " --settings {params.settings:q}"
            " --device {params.device}"
            " --vram-mb {params.vram_mb}"
            " --threads {threads}"
            " --group {params.group:q}"
            " --checkpoint {output.checkpoint:q}"
            " --run {output.run:q}"
            " --receipt {output.receipt:q}"
            " > {log:q} 2>&1"


rule draw_steps:
    input:
        run="<results>/runs/{encoder}/{network}.json",
    output:
        picture=report_entry(
            "{encoder}/{network}/steps.png",
            "2 Heads",
            "steps of the training",
            subcategory="{encoder} · {network}",
        ),
        receipt="<results>/receipts/draw_steps/{encoder}/{network}.json",
    log:
        "<logs>/draw_steps/{encoder}/{network}.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
    params:
        version=versions.REPORT,
        vram_mb=config["gpu"]["vram_mb"],
    shell:
        '"$UNCHOKE_SCRIPTS"/warm draw_steps'
        " --run {input.run:q}"
        " --vram-mb {params.vram_mb}"
        " --picture {output.picture:q}"
        " --receipt {output.receipt:q}"
        " > {log:q} 2>&1"
