"""The literature behind the commands, as BibTeX."""

from __future__ import annotations

from collections.abc import Sequence

from mrikit.errors import UsageError

#: key -> (commands and words it is found by, BibTeX entry)
REFERENCES: dict[str, tuple[tuple[str, ...], str]] = {
    "flat": (
        ("flat-recon", "unroll-train"),
        """@misc{flat,
  author = {Qi, Kehan and Gupta, Saumya and Hu, Xiaoling and Hu, Qingqiao and Lyu, Weimin and Chen, Chao},
  title = {Unrolled Networks are Conditional Probability Flows in {MRI} Reconstruction},
  year = {2025},
  eprint = {2512.03020},
  archivePrefix = {arXiv},
  doi = {10.48550/arXiv.2512.03020}
}""",
    ),
    "adapt": (
        ("flat-recon",),
        """@inproceedings{adapt,
  author = {Yaman, Burhaneddin and Hosseini, Seyed Amir Hossein and Ak{\\c{c}}akaya, Mehmet},
  title = {Zero-Shot Self-Supervised Learning for {MRI} Reconstruction},
  booktitle = {International Conference on Learning Representations},
  year = {2022},
  eprint = {2102.07737},
  archivePrefix = {arXiv}
}""",
    ),
    "espirit": (
        ("espirit", "flat-recon"),
        """@article{espirit,
  author = {Uecker, Martin and Lai, Peng and Murphy, Mark J. and Virtue, Patrick and Elad, Michael and
            Pauly, John M. and Vasanawala, Shreyas S. and Lustig, Michael},
  title = {{ESPIRiT} -- an eigenvalue approach to autocalibrating parallel {MRI}:
           Where {SENSE} meets {GRAPPA}},
  journal = {Magnetic Resonance in Medicine},
  volume = {71},
  number = {3},
  pages = {990--1001},
  year = {2014},
  doi = {10.1002/mrm.24751}
}""",
    ),
    "ismrmrd": (
        ("convert",),
        """@article{ismrmrd,
  author = {Inati, Souheil J. and Naegele, Joseph D. and Zwart, Nicholas R. and Roopchansingh, Vinai and
            Lizak, Martin J. and Hansen, David C. and Liu, Chia-Ying and Atkinson, David and Kellman, Peter and
            Kozerke, Sebastian and Xue, Hui and Campbell-Washburn, Adrienne E. and S{\\o}rensen, Thomas S. and
            Hansen, Michael S.},
  title = {{ISMRM} Raw data format: A proposed standard for {MRI} raw datasets},
  journal = {Magnetic Resonance in Medicine},
  volume = {77},
  number = {1},
  pages = {411--421},
  year = {2017},
  doi = {10.1002/mrm.26089}
}""",
    ),
    "snakemake": (
        ("batch",),
        """@article{snakemake,
  author = {M{\\"o}lder, Felix and Jablonski, Kim Philipp and Letcher, Brice and Hall, Michael B. and
            Tomkins-Tinch, Christopher H. and Sochat, Vanessa and Forster, Jan and Lee, Soohyun and
            Twardziok, Sven O. and Kanitz, Alexander and Wilm, Andreas and Holtgrewe, Manuel and Rahmann, Sven and
            Nahnsen, Sven and K{\\"o}ster, Johannes},
  title = {Sustainable data analysis with {Snakemake}},
  journal = {F1000Research},
  volume = {10},
  pages = {33},
  year = {2021},
  doi = {10.12688/f1000research.29032.2}
}""",
    ),
    "csgm-mri": (
        ("mvue", "langevin", "score-train"),
        """@inproceedings{csgm-mri,
  author = {Jalal, Ajil and Arvinte, Marius and Daras, Giannis and Price, Eric and Dimakis, Alexandros G. and
            Tamir, Jonathan I.},
  title = {Robust Compressed Sensing {MRI} with Deep Generative Priors},
  booktitle = {Advances in Neural Information Processing Systems},
  volume = {34},
  year = {2021},
  eprint = {2108.01368},
  archivePrefix = {arXiv}
}""",
    ),
    "ncsnv2": (
        ("score-train", "langevin"),
        """@inproceedings{ncsnv2,
  author = {Song, Yang and Ermon, Stefano},
  title = {Improved Techniques for Training Score-Based Generative Models},
  booktitle = {Advances in Neural Information Processing Systems},
  volume = {33},
  year = {2020},
  eprint = {2006.09011},
  archivePrefix = {arXiv}
}""",
    ),
    "edm": (
        ("score-train", "langevin"),
        """@inproceedings{edm,
  author = {Karras, Tero and Aittala, Miika and Aila, Timo and Laine, Samuli},
  title = {Elucidating the Design Space of Diffusion-Based Generative Models},
  booktitle = {Advances in Neural Information Processing Systems},
  volume = {35},
  year = {2022},
  eprint = {2206.00364},
  archivePrefix = {arXiv}
}""",
    ),
    "modl": (
        ("unroll-train", "flat-recon"),
        """@article{modl,
  author = {Aggarwal, Hemant K. and Mani, Merry P. and Jacob, Mathews},
  title = {{MoDL}: Model-Based Deep Learning Architecture for Inverse Problems},
  journal = {IEEE Transactions on Medical Imaging},
  volume = {38},
  number = {2},
  pages = {394--405},
  year = {2019},
  doi = {10.1109/TMI.2018.2865356}
}""",
    ),
    "varnet": (
        ("unroll-train", "flat-recon"),
        """@inproceedings{varnet,
  author = {Sriram, Anuroop and Zbontar, Jure and Murrell, Tullie and Defazio, Aaron and Zitnick, C. L. and
            Yakubova, Nafissa and Knoll, Florian and Johnson, Patricia},
  title = {End-to-End Variational Networks for Accelerated {MRI} Reconstruction},
  booktitle = {Medical Image Computing and Computer Assisted Intervention},
  pages = {64--73},
  year = {2020},
  doi = {10.1007/978-3-030-59713-9_7}
}""",
    ),
    "policy": (
        ("policy train", "policy propose", "policy compare"),
        """@misc{policy,
  author = {Pavelkin, Roman and Zavala-Mondragon, Luis A. and Viviers, Christiaan G. A. and van der Sommen, Fons},
  title = {Flow-Based Generative Modeling for Optimizing Sampling Policies in Compressed Sensing Applications},
  year = {2026},
  eprint = {2606.00078},
  archivePrefix = {arXiv}
}""",
    ),
    "flow-matching": (
        ("policy", "policy train"),
        """@inproceedings{flow-matching,
  author = {Lipman, Yaron and Chen, Ricky T. Q. and Ben-Hamu, Heli and Nickel, Maximilian and Le, Matt},
  title = {Flow Matching for Generative Modeling},
  booktitle = {International Conference on Learning Representations},
  year = {2023},
  eprint = {2210.02747},
  archivePrefix = {arXiv}
}""",
    ),
    "loupe": (
        ("policy", "policy compare"),
        """@article{loupe,
  author = {Bahadir, Cagla D. and Wang, Alan Q. and Dalca, Adrian V. and Sabuncu, Mert R.},
  title = {Deep-Learning-Based Optimization of the Under-Sampling Pattern in {MRI}},
  journal = {IEEE Transactions on Computational Imaging},
  volume = {6},
  pages = {1139--1152},
  year = {2020},
  doi = {10.1109/TCI.2020.3006727}
}""",
    ),
    "dps": (
        ("policy", "policy compare"),
        """@inproceedings{dps,
  author = {Huijben, Iris A. M. and Veeling, Bastiaan S. and van Sloun, Ruud J. G.},
  title = {Deep probabilistic subsampling for task-adaptive compressed sensing},
  booktitle = {International Conference on Learning Representations},
  year = {2020}
}""",
    ),
    "adps": (
        ("policy", "policy compare"),
        """@inproceedings{adps,
  author = {van Gorp, Hans and Huijben, Iris and Veeling, Bastiaan S. and Pezzotti, Nicola and van Sloun, Ruud J. G.},
  title = {Active Deep Probabilistic Subsampling},
  booktitle = {International Conference on Machine Learning},
  volume = {139},
  pages = {10509--10518},
  year = {2021}
}""",
    ),
    "ads": (
        ("policy", "policy compare"),
        """@misc{ads,
  author = {Nolan, Ois{\\'i}n and Stevens, Tristan S. W. and van Nierop, Wessel L. and van Sloun, Ruud J. G.},
  title = {Active Diffusion Subsampling},
  year = {2024},
  eprint = {2406.14388},
  archivePrefix = {arXiv}
}""",
    ),
    "roemer": (
        ("rss",),
        """@article{roemer,
  author = {Roemer, P. B. and Edelstein, W. A. and Hayes, C. E. and Souza, S. P. and Mueller, O. M.},
  title = {The {NMR} phased array},
  journal = {Magnetic Resonance in Medicine},
  volume = {16},
  number = {2},
  pages = {192--225},
  year = {1990},
  doi = {10.1002/mrm.1910160203}
}""",
    ),
    "cg-sense": (
        ("pics", "whiten", "flat-recon"),
        """@article{cg-sense,
  author = {Pruessmann, Klaas P. and Weiger, Markus and B{\\"o}rnert, Peter and Boesiger, Peter},
  title = {Advances in sensitivity encoding with arbitrary k-space trajectories},
  journal = {Magnetic Resonance in Medicine},
  volume = {46},
  number = {4},
  pages = {638--651},
  year = {2001},
  doi = {10.1002/mrm.1241}
}""",
    ),
    "sparse-mri": (
        ("pics",),
        """@article{sparse-mri,
  author = {Lustig, Michael and Donoho, David and Pauly, John M.},
  title = {Sparse {MRI}: The application of compressed sensing for rapid {MR} imaging},
  journal = {Magnetic Resonance in Medicine},
  volume = {58},
  number = {6},
  pages = {1182--1195},
  year = {2007},
  doi = {10.1002/mrm.21391}
}""",
    ),
    "convdecoder": (
        ("convdecoder",),
        """@article{convdecoder,
  author = {Darestani, Mohammad Zalbagi and Heckel, Reinhard},
  title = {Accelerated {MRI} With Un-Trained Neural Networks},
  journal = {IEEE Transactions on Computational Imaging},
  volume = {7},
  pages = {724--733},
  year = {2021},
  doi = {10.1109/TCI.2021.3097596}
}""",
    ),
    "coil-compression": (
        ("compress",),
        """@article{coil-compression,
  author = {Huang, Feng and Vijayakumar, Sathya and Li, Yu and Hertel, Sarah and Duensing, George R.},
  title = {A software channel compression technique for faster reconstruction with many channels},
  journal = {Magnetic Resonance Imaging},
  volume = {26},
  number = {1},
  pages = {133--141},
  year = {2008},
  doi = {10.1016/j.mri.2007.04.010}
}""",
    ),
    "muon": (
        ("unroll-train",),
        """@misc{muon,
  author = {Jordan, Keller and Jin, Yuchen and Boza, Vlado and You, Jiacheng and Cesista, Franz and Newhouse, Laker and
            Bernstein, Jeremy},
  title = {Muon: An optimizer for hidden layers in neural networks},
  year = {2024},
  url = {https://kellerjordan.github.io/posts/muon/}
}""",
    ),
    "ssim": (
        ("metrics", "evaluate", "unroll-train"),
        """@article{ssim,
  author = {Wang, Zhou and Bovik, Alan C. and Sheikh, Hamid R. and Simoncelli, Eero P.},
  title = {Image quality assessment: from error visibility to structural similarity},
  journal = {IEEE Transactions on Image Processing},
  volume = {13},
  number = {4},
  pages = {600--612},
  year = {2004},
  doi = {10.1109/TIP.2003.819861}
}""",
    ),
    "fastmri": (
        ("mask", "undersample", "metrics", "evaluate"),
        """@misc{fastmri,
  author = {Zbontar, Jure and Knoll, Florian and Sriram, Anuroop and others},
  title = {{fastMRI}: An Open Dataset and Benchmarks for Accelerated {MRI}},
  year = {2018},
  eprint = {1811.08839},
  archivePrefix = {arXiv}
}""",
    ),
    "sigpy": (
        ("pics",),
        """@inproceedings{sigpy,
  author = {Ong, Frank and Lustig, Michael},
  title = {{SigPy}: A {Python} package for high performance iterative reconstruction},
  booktitle = {Proceedings of the ISMRM 27th Annual Meeting},
  address = {Montreal},
  pages = {4819},
  year = {2019}
}""",
    ),
    "bart": (
        ("convert",),
        """@inproceedings{bart,
  author = {Uecker, Martin and Ong, Frank and Tamir, Jonathan I. and Bahri, Dara and Virtue, Patrick and
            Cheng, Joseph Y. and Zhang, Tao and Lustig, Michael},
  title = {Berkeley Advanced Reconstruction Toolbox},
  booktitle = {Proceedings of the ISMRM 23rd Annual Meeting},
  address = {Toronto},
  pages = {2486},
  year = {2015}
}""",
    ),
}


def find(names: Sequence[str]) -> dict[str, str]:
    """key -> BibTeX of every reference that one of `names`, keys or commands, asks for; of all without names.

    Raises UsageError for a name that asks for nothing.
    """
    found: dict[str, str] = {}
    together = " ".join(names)  # `policy train` is one command
    for name in [together] if any(together in words for words, _ in REFERENCES.values()) else names:
        hits = {k: bibtex for k, (words, bibtex) in REFERENCES.items() if name.lower() in (k, *words)}
        if not hits:
            raise UsageError(f"no reference for {name!r}", hint=f"known are {', '.join(REFERENCES)}, and commands")
        found |= hits
    return found or {key: bibtex for key, (_, bibtex) in REFERENCES.items()}
