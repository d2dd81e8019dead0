"""The same tools from Python: arrays in, arrays out, the same defaults."""

import mrikit

kspace = mrikit.phantom(128, coils=6, noise=0.01, seed=3)  # (slice, coil, y, x)
maps = mrikit.espirit(kspace, calib=24)
reference = mrikit.mvue(kspace, maps)

image = mrikit.flat_recon(kspace, accel=4)
report = mrikit.metrics(reference, image)
print(f"PSNR {report.volume.psnr:.1f} dB, SSIM {report.volume.ssim:.3f}")
