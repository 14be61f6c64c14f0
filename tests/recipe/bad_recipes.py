"""Recipes that are wrong in one way each: the YAML below a good head, the --set beside it, the sentence they earn."""

BAD = {
    "misspelt key": (
        "training:\n  step: 5",
        [],
        "training.step (r.yaml:4): is no key of training; did you mean training.steps?",
    ),
    "misspelt section": ("traning: {}", [], "traning (r.yaml:3): is no key of a recipe; did you mean training?"),
    "key of another section": (
        "learning_rate: 1",
        [],
        "learning_rate (r.yaml:3): is no key of a recipe; did you mean training.learning_rate?",
    ),
    "a key like no other": (
        "model:\n  zzz: 1",
        [],
        "model.zzz (r.yaml:4): is no key of model; it may hold type, latent_size, prior",
    ),
    "1e-4 where text is asked": (
        "data: {path: 1e-4}",
        [],
        'data.path (r.yaml:3): must be text, got the number 0.0001; if the text is meant, put it in quotes: "1e-4".',
    ),
    "a fraction of a step": (
        "training: {steps: 1.5}",
        [],
        "training.steps (r.yaml:3): must be a whole number, got the number 1.5.",
    ),
    "1e3 steps": ("training: {steps: 1e3}", [], "must be a whole number, got the number 1000.0; write 1000."),
    "text for a number": (
        "training:\n  learning_rate: fast",
        [],
        "training.learning_rate (r.yaml:4): must be a number, got the text 'fast'.",
    ),
    "truth for a number": ("objective: {lam: true}", [], "objective.lam (r.yaml:3): must be a number, got true."),
    "no for false": ("training: {deterministic: no}", [], "must be true or false, got the text 'no'; write false."),
    "text for a list": (
        "training: {trackers: tensorboard}",
        [],
        "training.trackers (r.yaml:3): must be a list such as [a, b], got the text 'tensorboard'.",
    ),
    "a number for a section": (
        "model: 3",
        [],
        "model (r.yaml:3): must be a section of its own keys, got the number 3.",
    ),
    "an empty section": (
        "model:",
        [],
        "model (r.yaml:3): must be a section of its own keys, got nothing; give it keys or take its line out.",
    ),
    "nothing for a number": (
        "model:\n  latent_size:",
        [],
        "model.latent_size (r.yaml:4): must be a whole number, got nothing.",
    ),
    "below its bound": ("objective: {lam: -1}", [], "objective.lam (r.yaml:3): must be >= 0, got -1."),
    "not above its bound": ("training: {clip: 0}", [], "training.clip (r.yaml:3): must be > 0, got 0."),
    "above its bound": ("objective: {ramp: 1.5}", [], "objective.ramp (r.yaml:3): must be <= 1, got 1.5."),
    "nan": ("objective: {lam: .nan}", [], "objective.lam (r.yaml:3): must be a finite number, got the number nan."),
    "infinite": (
        "training: {clip: .inf}",
        [],
        "training.clip (r.yaml:3): must be a finite number, got the number inf.",
    ),
    "an unknown choice": (
        "model: {prior: learnd}",
        [],
        "model.prior (r.yaml:3): must be one of standard, learned, mixture, vamp, got the text 'learnd'; did you mean",
    ),
    "neither text nor whole number": (
        "data: {path: y, column: 1.5}",
        [],
        "data.column (r.yaml:3): must be text or a whole number, got the number 1.5.",
    ),
    "too few entries": (
        "training: {betas: [0.9]}",
        [],
        "training.betas (r.yaml:3): must have at least 2 entries, got a list of 1.",
    ),
    "too many entries": (
        "training: {betas: [0.9, 0.9, 0.9]}",
        [],
        "training.betas (r.yaml:3): must have at most 2 entries, got a list of 3.",
    ),
    "betas beyond 1": (
        "training: {betas: [0.9, 1.5]}",
        [],
        "training.betas (r.yaml:3): must be two numbers in [0, 1), got [0.9, 1.5].",
    ),
    "a folder for a name": (
        "name: a/b",
        [],
        "name (r.yaml:3): must be a folder's name of letters, digits, '_', '.' and '-', got 'a/b'.",
    ),
    "a duplicate key": (
        "seed: 1\nseed: 2",
        [],
        "seed (r.yaml:4): is given twice, first at r.yaml:3; take one of the two out.",
    ),
    "a duplicate section": ("data: {}", [], "data (r.yaml:3): is given twice, first at r.yaml:2"),
    "a tab": ("training:\n\tsteps: 5", [], "r.yaml:4: a tab stands where spaces must; indent with spaces."),
    "no colon": ("training\n  steps: 5", [], "is not YAML: "),
    "an open bracket": ("stages: [", [], "is not YAML: "),
    "a python tag": (
        "seed: !!python/name:os.system x",
        [],
        "seed (r.yaml:3): a recipe holds plain values, not tag:yaml.org,2002:python/name:os.system; take the tag out.",
    ),
    "a loop": ("stages: &a [*a]", [], "stages.0 (r.yaml:3): refers to itself; write the values out."),
    "rate and beta": (
        "objective: {target_rate: 8, beta: 1}",
        [],
        "objective.target_rate (r.yaml:3): finds beta itself, so objective.beta must be null",
    ),
    "rate and schedule": (
        "objective: {target_rate: 8, schedule: linear, schedule_steps: 5}",
        [],
        "so objective.schedule must be constant, got 'linear'.",
    ),
    "a schedule of no length": (
        "objective: {schedule: cyclical}",
        [],
        "objective.schedule_steps (r.yaml:3): must be the number of steps that a cyclical schedule lasts.",
    ),
    "a stage's rate and beta": (
        "objective: {beta: 1.0}\nstages:\n- objective: {target_rate: 3}",
        [],
        "stages.0.objective.target_rate (r.yaml:5): finds beta itself",
    ),
    "two stages of one name": (
        "stages: [{steps: 1}, {steps: 2}]",
        [],
        "stages.1.name (r.yaml:3): must be its own, got 'train' again.",
    ),
    "a stage that teaches nobody": (
        "stages: [{learn: []}]",
        [],
        "stages.0.learn (r.yaml:3): must have at least 1 entries, got a list of 0.",
    ),
    "an unknown part": (
        "stages: [{learn: [enc]}]",
        [],
        "stages.0.learn.0 (r.yaml:3): must be one of encoder, prior, decoder, got the text 'enc'; did you mean enc",
    ),
    "an encoder that runs ahead of nobody": (
        "stages: [{aggressive: true, learn: [encoder]}]",
        [],
        "stages.0.aggressive (r.yaml:3): needs encoder and decoder in the stage's learn, and decoder is not.",
    ),
    "a language model's encoder that runs ahead": (
        "model: {latent_size: 0}\nstages: [{aggressive: true}]",
        [],
        "stages.0.aggressive (r.yaml:4): needs a latent; raise model.latent_size, or take it out.",
    ),
    "a falling ladder": (
        "evaluation: {ladder: [10, 1]}",
        [],
        "evaluation.ladder (r.yaml:3): must rise from 1 or more, got [10, 1].",
    ),
    "nothing left to train on": (
        "data: {path: y, valid_fraction: 0.5, test_fraction: 0.5}",
        [],
        "data.valid_fraction (r.yaml:3): plus data.test_fraction must be < 1",
    ),
    "every piece of unigram": (
        "tokenizer: {vocabulary: null}",
        [],
        "tokenizer.vocabulary (r.yaml:3): must be a number for type unigram",
    ),
    "path and files": (
        "data: {path: y, train: z}",
        [],
        "data.path (r.yaml:3): cannot stand beside data.train; keep the one you mean.",
    ),
    "two that decide beta": (
        "objective: {target_rate: 5.0, minimum_rate: 3.0}",
        [],
        "objective.minimum_rate (r.yaml:3): and objective.target_rate would each decide beta; take one of the two out.",
    ),
    "a capacity and a beta": (
        "objective: {capacity: 5.0, beta: 1.0}",
        [],
        "objective.capacity (r.yaml:3): finds beta itself, so objective.beta must be null",
    ),
    "a minimum rate with a schedule": (
        "objective: {minimum_rate: 5.0, schedule: linear, schedule_steps: 5}",
        [],
        "objective.minimum_rate (r.yaml:3): finds beta itself, so objective.schedule must be constant, got 'linear'.",
    ),
    "a minimum rate begun above 1": (
        "objective: {minimum_rate: 5.0, beta_start: 2.0}",
        [],
        "objective.beta_start (r.yaml:3): must be <= 1, got 2.0: under a minimum rate beta is never above 1.",
    ),
    "a rise to no capacity": (
        "objective: {capacity_steps: 5}",
        [],
        "objective.capacity_steps (r.yaml:3): needs objective.capacity, the rate to rise to",
    ),
    "a capacity and a floor": (
        "objective: {capacity: 5.0, free_nats: 0.1}",
        [],
        "objective.free_nats (r.yaml:3): and objective.capacity would each charge the rate; take one of the two out.",
    ),
    "a floor under the importance-weighted bound": (
        "objective: {importance_samples: 5, free_nats: 0.1}",
        [],
        "objective.free_nats (r.yaml:3): needs a rate apart, which objective.importance_samples > 1 has not",
    ),
    "a zero phase of no cycle": (
        "objective: {zero: 0.5, schedule: linear, schedule_steps: 5}",
        [],
        "objective.zero (r.yaml:3): needs objective.schedule: cyclical",
    ),
    "a cycle longer than itself": (
        "objective: {zero: 0.6, schedule: cyclical, schedule_steps: 5}",
        [],
        "objective.zero (r.yaml:3): plus objective.ramp must be <= 1, a cycle, got 0.6 + 0.5.",
    ),
    "components of one Gaussian": (
        "model: {prior: learned, components: 5}",
        [],
        "model.components (r.yaml:3): needs model.prior: mixture or vamp, got 'learned'",
    ),
    "normalised means and a prior that follows": (
        "model: {prior: learned, encoder: {batch_norm: 0.5}}",
        [],
        "model.encoder.batch_norm (r.yaml:3): is sure of a rate under model.prior: standard alone, got 'learned'",
    ),
    "a start of a variance that is held": (
        "model: {encoder: {fixed_variance: 0.5, log_variance_bias: -1.0}}",
        [],
        "model.encoder.log_variance_bias (r.yaml:3): starts a variance that learns, and model.encoder.fixed_variance",
    ),
    "a floor without a closed form": (
        "model: {prior: mixture}\nstages: [{objective: {free_nats: 0.5}}]",
        [],
        "stages.0.objective.free_nats (r.yaml:4): needs a rate in closed form, which model.prior: mixture has not",
    ),
    "a pseudo-input too long to be read": (
        "model: {prior: vamp, pseudo_tokens: 99}",
        [],
        "model.pseudo_tokens (r.yaml:3): must be <= data.max_tokens, the encoder's longest input, got 99 and 64.",
    ),
    "all words hidden and more": (
        "model: {decoder: {word_dropout: 1.5}}",
        [],
        "model.decoder.word_dropout (r.yaml:3): must be",
    ),
    "a rate asked of codes": (
        "model: {type: vq}\nobjective: {target_rate: 8}",
        [],
        "objective.target_rate (r.yaml:4): moves a rate, and that of codes is P ln K",
    ),
    "free nats of codes, in a stage": (
        "model: {type: vq}\nstages: [{objective: {free_nats: 1}}]",
        [],
        "stages.0.objective.free_nats (r.yaml:4): moves a rate, and that of codes is P ln K",
    ),
    "several draws of a code": (
        "model: {type: vq}\nobjective: {importance_samples: 5}",
        [],
        "objective.importance_samples (r.yaml:4): moves a rate",
    ),
    "an encoder of codes that runs ahead": (
        "model: {type: vq}\nstages: [{aggressive: true}]",
        [],
        "stages.0.aggressive (r.yaml:4): looks at a posterior's information, and a code has none; take it out.",
    ),
    "codes of a Gaussian model": (
        "model: {codebook: {codes: 4}}",
        [],
        "model.codebook (r.yaml:3): is for model.type: vq, got gaussian; take one of the two out.",
    ),
    "a Gaussian's pooling of codes": (
        "model: {type: vq, encoder: {pooling: max}}",
        [],
        "model.encoder.pooling (r.yaml:3): is for model.type: gaussian or deterministic, got vq; take one "
        "of the two out.",
    ),
    "a rate of points": (
        "model: {type: deterministic}\nobjective: {target_rate: 3}",
        [],
        "objective.target_rate (r.yaml:4): asks something of the rate, and a point has none; leave lam alone here.",
    ),
    "a prior of points": (
        "model: {type: deterministic}\nstages: [{learn: [prior]}]",
        [],
        "stages.0.learn (r.yaml:4): names a prior, and model.type: deterministic has none; name another part.",
    ),
    "an encoder that runs ahead of points": (
        "model: {type: deterministic}\nstages: [{aggressive: true}]",
        [],
        "stages.0.aggressive (r.yaml:4): looks at a posterior's information, and a point has none; take it out.",
    ),
    "a point of no dimensions": (
        "model: {type: deterministic, latent_size: 0}",
        [],
        "model.latent_size (r.yaml:3): must be >= 1 where z is a point; model.type: gaussian with 0 is a language",
    ),
    "an encoder that is taken, and described": (
        "model: {encoder: {weights: runs/other, pooling: max}}",
        [],
        "model.encoder.pooling (r.yaml:3): comes with the encoder of model.encoder.weights; take one of the two out.",
    ),
    "codes that roll and have a gradient": (
        "model: {type: vq, codebook: {gradient_rule: both}}",
        [],
        "model.codebook.decay (r.yaml:3): moves the codes without a gradient, and gradient_rule: both sends them one; "
        "set decay to null, or gradient_rule to published.",
    ),
    "a rotation of a gradient that is sent on": (
        "model: {type: vq, codebook: {gradient_rule: both, decay: null, rotation: true}}",
        [],
        "model.codebook.rotation (r.yaml:3): keeps the decoder's gradient from the codes, and both sends it",
    ),
    "a rolling code's learning rate": (
        "model: {type: vq, codebook: {codebook_lr_factor: 10}}",
        [],
        "model.codebook.codebook_lr_factor (r.yaml:3): is the learning rate of codes learned by gradient",
    ),
    "a pull that the rule has not": (
        "model: {type: vq, codebook: {gradient_rule: end_to_end, decay: null, commitment: 1}}",
        [],
        "model.codebook.commitment (r.yaml:3): is no part of gradient_rule: end_to_end",
    ),
    "layers of a uniform prior": (
        "model: {type: vq, code_prior: {layers: 3}}",
        [],
        "model.code_prior.layers (r.yaml:3): is an autoregressive prior's, got model.code_prior.type: uniform",
    ),
    "heads that do not fit": (
        "model: {type: vq, code_prior: {type: autoregressive, size: 30}}",
        [],
        "model.code_prior.size (r.yaml:3): must be a multiple of the heads, got 30 and 4.",
    ),
    "a uniform prior that is to learn": (
        "model: {type: vq}\nstages: [{learn: [prior]}]",
        [],
        "stages.0.learn (r.yaml:4): names a prior that has nothing to learn; set model.code_prior.type.",
    ),
    "--set of no value": ("", ["seed"], "--set seed: must look like section.key=value, as in training.steps=500."),
    "--set of a misspelt key": (
        "",
        ["trainin.steps=5"],
        "trainin (--set trainin.steps=5): is no key of a recipe; did you mean training?",
    ),
    "--set of a wrong type": (
        "",
        ["training.steps=many"],
        "training.steps (--set training.steps=many): must be a whole number, got the text 'many'.",
    ),
    "--set of no YAML": ("", ["training.betas=[0.9"], "training.betas (--set training.betas=[0.9): is not YAML: "),
    "--set beyond a list": (
        "stages: [{steps: 1}]",
        ["stages.1.steps=2"],
        "stages.1 (--set stages.1.steps=2): must name one of the 1 entries, 0 is the first.",
    ),
    "--set below a value": ("", ["seed.x=2"], "seed (--set seed.x=2): must be a whole number, got a section."),
}
