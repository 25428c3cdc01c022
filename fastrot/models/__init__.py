"""The 3D ResNet, its heads and its weights."""
