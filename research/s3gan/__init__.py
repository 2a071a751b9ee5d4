"""High-fidelity image generation with fewer labels (Lucic et al. 2019), on BigGAN."""

from research.s3gan.discriminator import Discriminator
from research.s3gan.generator import Generator
from research.s3gan.model import S3GAN

__all__ = ['S3GAN', 'Discriminator', 'Generator']
