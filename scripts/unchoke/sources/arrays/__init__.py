"""Images that are rows of arrays: the shared modules of the sources hdf5, npy and zarr."""
