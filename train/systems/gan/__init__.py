"""The paper's other system, a video GAN of U-Nets and View-Nets (section V)."""
